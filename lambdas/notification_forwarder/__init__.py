"""Forwards notifications to what SNS cannot reach in its own format: PagerDuty, a webhook, a chat channel."""
