-- name: first-of-its-repo
-- version: 1.0.0
-- summary: a job waits unless its task is the first unfinished task of its repo
-- rules: {"finished_stages": ["done"], "strict": true}
AND ( jobs.repo IS NULL
    OR jobs.task_id <= (SELECT min(t.id) FROM tasks t
                        WHERE t.repo = jobs.repo AND t.stage NOT IN :finished_stages)
    OR (jobs.task_id IS NULL AND NOT :strict) )
