"""Scores a dropped file by a batch transform job: checks it, starts the job, joins the scores to its lines."""
