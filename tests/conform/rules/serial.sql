-- name: serial-in-a-file
-- version: 1.0.0
-- summary: the default rule
-- rules: {"gated_agents": ["analyst"], "finished_stages": ["done"]}
AND NOT ( jobs.agent IN :gated_agents AND (
    EXISTS (SELECT 1 FROM tasks t
            WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage NOT IN :finished_stages)
    OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) )
