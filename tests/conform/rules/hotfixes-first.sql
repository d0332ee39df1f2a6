-- name: hotfixes-first
-- version: 1.0.0
-- summary: a hotfix waits for earlier hotfixes of its repo, every other task also for every hotfix
-- rules: {"label": "hotfix", "gated_agents": ["analyst"], "finished_stages": ["done"]}
AND NOT ( jobs.agent IN :gated_agents AND (
    EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id
            AND t.stage NOT IN :finished_stages AND t.gate_label = :label)
    OR ( NOT EXISTS (SELECT 1 FROM tasks own
                     WHERE own.id = jobs.task_id AND own.gate_label = :label)
         AND ( EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo
                       AND (t.id < jobs.task_id OR t.gate_label = :label)
                       AND t.stage NOT IN :finished_stages)
               OR EXISTS (SELECT 1 FROM repo_freeze f
                          WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) ) ) )
