-- name: {name}
-- version: 0.1.0
-- summary: a task waits while an earlier task of its repo is in review
-- rules: {"agents": ["analyst"], "stage": "review"}

-- Which queued jobs may be claimed. `:agents` and `:stage` are parameters: the line above has their
-- defaults, and `--rules '{"stage": "testing"}'` sets another one. The switches of the gate and its
-- scope need no line here. A job that is held names the rows which EXISTS found.

AND NOT ( jobs.agent IN :agents AND (
    EXISTS (SELECT 1 FROM tasks t
            WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage = :stage)
    OR EXISTS (SELECT 1 FROM repo_freeze f
               WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) )
