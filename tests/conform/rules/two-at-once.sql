-- name: two-at-once
-- version: 1.0.0
-- summary: a task waits while `limit` earlier tasks of its repo are unfinished
-- rules: {"limit": 2, "gated_agents": ["analyst"], "finished_stages": ["done"]}
AND NOT ( jobs.agent IN :gated_agents AND (
    (SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id
        AND t.stage NOT IN :finished_stages) >= :limit
    OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) )
