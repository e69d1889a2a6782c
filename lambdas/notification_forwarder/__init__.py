"""Forwards notifications to destinations that need another format: PagerDuty, a webhook, a chat channel."""
