//! The claim by heads, for a clause with partitions.
//!
//! Owns the steps: the lower of the first job of a free agent and of the first head whose repo's lock
//! is free. Leaves what it has in common with `scan` to `claim`, and the search for the next head to
//! `search`. Its cost does not depend on how many jobs are held.

use super::claim::{ClauseFunctions, NOTE_STARTED, ask, mark_given, opening, waiting};
use super::functions::give;
use super::heads::{is_of, make_others_dirty};
use super::locks::{CLAIMS, Locks, key};
use super::search::{LEAST, after, first_free, is, take_free};

/// How many repos a claim evaluates at most.
const SETTLED: u32 = 64;

/// How often a claim begins anew within one call.
const ROUNDS: u32 = 20;

/// The steps of a claim by heads.
pub(super) fn by_heads(of: &ClauseFunctions<'_>, index: i64, reads_jobs: bool) -> String {
    let locks = Locks::of(of.schema);
    let next_heads = |into: &str, of_agent: &str, order: &str| {
        format!(
            "SELECT p.job, p.no_repo, p.repo, p.agent{into} FROM serial_gate_partition p
             WHERE p.idx = {index}{of_agent} AND p.job >= next_job
             ORDER BY p.idx, {order} p.job"
        )
    };
    let try_head = format!(
        "EXIT WHEN head.job > free_job;
         repo := CASE WHEN head.no_repo THEN NULL ELSE head.repo END;
         its_key := {};
         IF {} THEN
            chosen := head.job;
            EXIT;
         END IF;
         busy := TRUE;
         held := coalesce(held, its_key);
         next_job := {};",
        key("repo"),
        locks.try_take("its_key"),
        after("head.job")
    );
    let any = format!(
        "FOR head IN {} LOOP {try_head} END LOOP;",
        next_heads("", "", "")
    );
    // The lowest of each agent's next head, as often as its repo's lock is not free.
    let of_agents = format!(
        "LOOP
            lowest := NULL;
            FOREACH agent IN ARRAY p_agents LOOP
                {} LIMIT 1;
                IF its_head.job < lowest OR lowest IS NULL THEN
                    head := its_head;
                    lowest := head.job;
                END IF;
            END LOOP;
            EXIT WHEN lowest IS NULL OR lowest = passed;
            {try_head}
            passed := lowest;
         END LOOP;",
        next_heads(
            " INTO its_head",
            &format!(" AND {}", is("p.agent", "agent")),
            "p.agent,"
        )
    );
    let (settle, settle_some, first) =
        (of.call("settle"), of.call("settle_some"), of.call("first"));
    let of_head = format!(
        "p.idx = {index} AND {} AND p.job = chosen",
        is_of("p", "repo")
    );
    let next = after("chosen");
    let succeed = if reads_jobs {
        format!("PERFORM {settle}(repo);")
    } else {
        // The lock is held since the head was right, and the claim changes nothing that the clause
        // reads: what it held before this job it holds now.
        format!(
            "next := {first}(repo, head.agent COLLATE \"default\", {next});
             IF next IS NULL THEN
                DELETE FROM serial_gate_partition p WHERE {of_head};
             ELSE
                UPDATE serial_gate_partition p SET job = next WHERE {of_head};
             END IF;"
        )
    };
    // To another clause the agent may be gated, or the job a reason to hold others.
    let mark = mark_given(&if reads_jobs {
        String::from("TRUE")
    } else {
        format!("EXISTS (SELECT 1 FROM serial_gate_index i WHERE i.id <> {index})")
    });
    let (opening, waiting, give, ask, free, take_free) = (
        opening(),
        waiting(of),
        give("chosen"),
        ask(of),
        first_free(of),
        take_free(),
    );
    let (claims_key, is_gated) = (locks.try_share(CLAIMS), of.is_gated("agent"));
    let (mark_of_repo, dirty_of_repo) = (is_of("m", "repo"), is_of("d", "repo"));
    let others = make_others_dirty(index, "repo");
    format!(
        "DECLARE
            may_be_gated boolean;
            chosen bigint;
            next bigint;
            from_id bigint := coalesce(p_beyond + 1, {LEAST});
            next_job bigint := from_id;
            passed bigint;
            lowest bigint;
            its_head record;
            head record;
            repo text;
            its_key integer;
            lets boolean;
            free_job bigint;
            free_agent text;
            spent text[] := '{{}}';
            agent text;
         BEGIN
            {opening}
            IF NOT {claims_key} THEN
                busy := TRUE;
                RETURN;
            END IF;
            {waiting}
            may_be_gated := p_agents = '{{}}';
            FOREACH agent IN ARRAY p_agents LOOP
                may_be_gated := may_be_gated OR {is_gated};
            END LOOP;
            -- Nearly always there is nothing to evaluate.
            IF may_be_gated AND (EXISTS (SELECT 1 FROM serial_gate_mark)
                OR EXISTS (SELECT 1 FROM serial_gate_dirty d WHERE d.idx = {index}))
            THEN
                SELECT s.held, s.more INTO held, more FROM {settle_some}({SETTLED}) s;
                IF more AND p_in_order THEN
                    busy := TRUE;
                    RETURN;
                END IF;
            END IF;
            FOR round IN 1 .. {ROUNDS} LOOP
                {free}
                chosen := NULL;
                IF may_be_gated THEN
                    IF p_agents = '{{}}' THEN {any} ELSE {of_agents} END IF;
                END IF;
                IF chosen IS NULL THEN
                    IF free_job IS NULL THEN
                        busy := busy OR may_be_gated AND (
                            EXISTS (SELECT 1 FROM serial_gate_mark)
                            OR EXISTS (SELECT 1 FROM serial_gate_dirty d WHERE d.idx = {index}));
                        RETURN;
                    END IF;
                    {take_free}
                    IF chosen IS NULL THEN
                        busy := TRUE;
                        spent := spent || coalesce('.' || free_agent, '');
                        CONTINUE;
                    END IF;
                    {give}
                    {mark}
                    RETURN;
                END IF;
                IF EXISTS (SELECT 1 FROM serial_gate_mark m WHERE {mark_of_repo})
                    OR EXISTS (SELECT 1 FROM serial_gate_dirty d
                        WHERE d.idx = {index} AND {dirty_of_repo})
                THEN
                    PERFORM {settle}(repo);
                    CONTINUE;
                END IF;
                IF busy THEN
                    -- Another claim may have had the lock since the heads were read.
                    CONTINUE WHEN NOT EXISTS (
                        SELECT 1 FROM serial_gate_partition p WHERE {of_head});
                END IF;
                {ask}
                IF lets IS NULL THEN
                    -- Another program has the row, or no trigger fired when it left the queue.
                    busy := TRUE;
                    next_job := {next};
                    PERFORM {settle}(repo);
                    CONTINUE;
                ELSIF NOT lets THEN
                    UPDATE serial_gate_index i SET differences = i.differences + 1
                    WHERE i.id = {index};
                    PERFORM {settle}(repo);
                    CONTINUE;
                END IF;
                {give}
                {succeed}
                {others}
                {NOTE_STARTED}
                RETURN;
            END LOOP;
            busy := TRUE;
         END"
    )
}
