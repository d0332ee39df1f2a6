-- name: one-running
-- version: 1.0.0
-- summary: a job waits while another job of its repo runs, whoever does it
-- rules: {"busy": ["running"]}
NOT EXISTS (SELECT 1 FROM jobs other WHERE other.repo = jobs.repo AND other.status IN :busy)
