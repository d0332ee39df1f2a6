/* A disk that a test can look at: loaded into the real binary, it keeps what a power cut would leave.
 *
 * Owns two things. What has been flushed: after each fsync and fdatasync of a file in POWER_CUT_WATCHED, its content of
 * the moment before is kept in POWER_CUT_DISK; the names in a folder are kept when the folder is flushed. Nothing else
 * reaches that disk. And the order of events, in POWER_CUT_EVENTS: what is written to a log, flushes, and what leaves the
 * process. It leaves to the test what to make of both. A flush that failed takes what it could not write for written, as
 * Linux does: later ones write it only if it was written again. With a file `full` in POWER_CUT_FAULTS there is no room for another
 * write, with a file `broken` no flush succeeds, with a file `slow` none ends.
 *
 * A file is known by its device, inode and time of birth. It is read by the descriptor that was flushed: closing another
 * one would give the locks of the process back.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define DATABASE "serial-gate.db"

static pthread_mutex_t event_lock = PTHREAD_MUTEX_INITIALIZER;

/* One line, whole even where several processes write. */
static void event(const char *line, size_t length) {
    static int events = -2;
    const char *path = getenv("POWER_CUT_EVENTS");
    if (!path) return;
    pthread_mutex_lock(&event_lock);
    if (events == -2) events = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (events >= 0) REAL(write)(events, line, length);
    pthread_mutex_unlock(&event_lock);
}

/* The path of a file of the database; false for any other. */
static int watched(int fd, char path[PATH_MAX]) {
    const char *folder = getenv("POWER_CUT_WATCHED");
    char link[64];
    if (!folder) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    size_t prefix = strlen(folder);
    if (strncmp(path, folder, prefix) != 0) return 0;
    return path[prefix] == 0 || strncmp(path + prefix, "/" DATABASE, strlen("/" DATABASE)) == 0;
}

static int is_log(const char *path) {
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, "-wal") == 0;
}

static int has_fault(const char *name) {
    const char *folder = getenv("POWER_CUT_FAULTS");
    char path[PATH_MAX];
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static int is_in(char sign, const char *others) {
    return (sign >= '0' && sign <= '9') || (sign != 0 && strchr(others, sign));
}

/* Each `mark-17.` and each token of a claim in some bytes. */
static void marks(char *line, size_t size, const char *bytes, size_t length) {
    const char *letters = "-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t at = strlen(line);
    for (size_t i = 0; i + 6 < length; i++) {
        size_t end = i;
        if (memcmp(bytes + i, "mark-", 5) == 0) {
            end = i + 5;
            while (end < length && is_in(bytes[end], "")) end++;
            if (end == length || bytes[end++] != '.') continue;
        } else if (memcmp(bytes + i, "sgc_", 4) == 0) {
            end = i + 4;
            while (end < length && end - i < 26 && is_in(bytes[end], letters)) end++;
            if (end - i != 26) continue;
        } else {
            continue;
        }
        if (at + (end - i) + 2 >= size) return;
        line[at++] = ' ';
        memcpy(line + at, bytes + i, end - i);
        at += end - i;
        line[at] = 0;
        i = end - 1;
    }
}

/* A frame is written as its head, 24 bytes, and its page. A size of the database in the head makes it the last one of a
 * transaction. */
static void written(const char *path, const char *bytes, size_t length) {
    static __thread int is_last;
    char line[8192] = "W";
    if (!is_log(path)) return;
    if (length == 24) {
        is_last = memcmp(bytes + 4, "\0\0\0\0", 4) != 0;
        return;
    }
    marks(line, sizeof line - 4, bytes, length);
    if (line[1] != 0) strcat(line, "\n");
    else line[0] = 0;
    if (is_last) strcat(line, "C\n");
    is_last = 0;
    event(line, strlen(line));
}

/* What leaves the process: its standard output, or an answer, by the port of the one who asked. */
static void leaves(int fd, const struct iovec *parts, size_t count) {
    char line[8192];
    const char *begin;
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    if (!getenv("POWER_CUT_EVENTS") || count == 0) return;
    if (fd == 1) {
        strcpy(line, "S 0");
    } else {
        if (fd < 3 || getpeername(fd, (struct sockaddr *)&peer, &size) != 0 || peer.sin_family != AF_INET) return;
        begin = parts[0].iov_base;
        if (parts[0].iov_len < 12 || memcmp(begin, "HTTP/1.1 ", 9) != 0) return;
        snprintf(line, sizeof line, "S %d", ntohs(peer.sin_port));
    }
    for (size_t i = 0; i < count; i++) marks(line, sizeof line - 2, parts[i].iov_base, parts[i].iov_len);
    strcat(line, "\n");
    event(line, strlen(line));
}

static int disk_path(char *path, const char *kind, const char *name) {
    const char *disk = getenv("POWER_CUT_DISK");
    if (!disk) return 0;
    snprintf(path, PATH_MAX, "%s/%s%s", disk, kind, name);
    return 1;
}

static int known_by(char *name, size_t size, int folder, const char *file, int flags) {
    struct statx found;
    if (statx(folder, file, flags, STATX_INO | STATX_BTIME, &found) != 0) return 0;
    snprintf(name, size, "%x-%x-%llx-%llx-%x", found.stx_dev_major, found.stx_dev_minor,
             (unsigned long long)found.stx_ino, (unsigned long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
    return 1;
}

#define BLOCK 512

/* `failed` has the content of a flush that failed, and `kept` what was on the disk then. */
static int copy_file(int fd, const char *to, const char *failed, const char *kept) {
    char block[BLOCK], before[BLOCK];
    int copy = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int lost = failed ? open(failed, O_RDONLY | O_CLOEXEC) : -1;
    int old = kept ? open(kept, O_RDONLY | O_CLOEXEC) : -1;
    if (copy < 0) return 0;
    off_t at = 0;
    ssize_t length;
    while ((length = pread(fd, block, BLOCK, at)) > 0) {
        if (lost >= 0 && pread(lost, before, BLOCK, at) >= length && memcmp(before, block, length) == 0) {
            memset(block, 0, BLOCK);
            if (old >= 0) pread(old, block, BLOCK, at);
        }
        if (REAL(pwrite)(copy, block, length, at) != length) break;
        at += length;
    }
    close(copy);
    if (lost >= 0) close(lost);
    if (old >= 0) close(old);
    return length == 0;
}

/* What is written again reaches the disk with the next flush. */
static void is_written_again(int fd, const char *bytes, size_t length, off_t offset) {
    char name[256], failed[PATH_MAX], block[BLOCK];
    if (!known_by(name, sizeof name, fd, "", AT_EMPTY_PATH) || !disk_path(failed, "failed-", name)) return;
    int lost = open(failed, O_WRONLY | O_CLOEXEC);
    if (lost < 0) return;
    for (size_t at = 0; at < length; at += BLOCK) {
        size_t part = length - at < BLOCK ? length - at : BLOCK;
        for (size_t i = 0; i < part; i++) block[i] = ~bytes[at + i];
        REAL(pwrite)(lost, block, part, offset + at);
    }
    close(lost);
}

/* The names of the database's files in their folder. */
static int copy_names(const char *folder, const char *to) {
    char name[256];
    FILE *names = fopen(to, "we");
    DIR *open_folder = opendir(folder);
    if (!names || !open_folder) return 0;
    struct dirent *entry;
    while ((entry = readdir(open_folder)))
        if (strncmp(entry->d_name, DATABASE, strlen(DATABASE)) == 0 &&
            known_by(name, sizeof name, dirfd(open_folder), entry->d_name, 0))
            fprintf(names, "%s %s\n", entry->d_name, name);
    closedir(open_folder);
    return fclose(names) == 0;
}

static int flush(int fd, int (*real)(int)) {
    char path[PATH_MAX], name[256], kept[PATH_MAX], failed[PATH_MAX], lock_path[PATH_MAX], made[PATH_MAX + 8];
    struct stat found;
    if (!watched(fd, path)) return real(fd);
    if (!disk_path(lock_path, "", "lock") || fstat(fd, &found) != 0) return real(fd);
    int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    flock(lock, LOCK_EX);
    if (has_fault("broken")) {
        if (!S_ISDIR(found.st_mode) && known_by(name, sizeof name, fd, "", AT_EMPTY_PATH)) {
            disk_path(failed, "failed-", name);
            copy_file(fd, failed, NULL, NULL);
        }
        close(lock);
        errno = EIO;
        return -1;
    }
    if (is_log(path)) event("B\n", 2);
    int whole;
    if (S_ISDIR(found.st_mode)) {
        disk_path(kept, "", "names");
        snprintf(made, sizeof made, "%s.made", kept);
        whole = copy_names(path, made);
    } else {
        known_by(name, sizeof name, fd, "", AT_EMPTY_PATH);
        disk_path(kept, "file-", name);
        disk_path(failed, "failed-", name);
        snprintf(made, sizeof made, "%s.made", kept);
        whole = copy_file(fd, made, failed, kept);
    }
    while (has_fault("slow")) usleep(1000);
    int result = real(fd);
    if (!whole) abort();
    if (result == 0) rename(made, kept);
    if (result == 0 && is_log(path)) event("E\n", 2);
    close(lock);
    return result;
}

int fsync(int fd) { return flush(fd, REAL(fsync)); }

int fdatasync(int fd) { return flush(fd, REAL(fdatasync)); }

static int has_room(int fd, char path[PATH_MAX]) {
    if (!watched(fd, path)) return -1;
    return !has_fault("full");
}

#define PWRITE(name, offset_type)                                                  \
    ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) {   \
        char path[PATH_MAX];                                                       \
        int room = has_room(fd, path);                                             \
        if (room == 0) {                                                           \
            errno = ENOSPC;                                                        \
            return -1;                                                             \
        }                                                                          \
        ssize_t result = REAL(name)(fd, bytes, length, offset);                    \
        if (room == 1 && result > 0) is_written_again(fd, bytes, result, offset);  \
        if (room == 1 && result == (ssize_t)length) written(path, bytes, length);  \
        return result;                                                             \
    }

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *bytes, size_t length) {
    char path[PATH_MAX];
    if (has_room(fd, path) == 0) {
        errno = ENOSPC;
        return -1;
    }
    struct iovec part = {(void *)bytes, length};
    leaves(fd, &part, 1);
    return REAL(write)(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    leaves(fd, parts, count);
    return REAL(writev)(fd, parts, count);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    struct iovec part = {(void *)bytes, length};
    leaves(fd, &part, 1);
    return REAL(send)(fd, bytes, length, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    struct iovec part = {(void *)bytes, length};
    leaves(fd, &part, 1);
    return REAL(sendto)(fd, bytes, length, flags, to, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    leaves(fd, message->msg_iov, message->msg_iovlen);
    return REAL(sendmsg)(fd, message, flags);
}
