"""The domain: scores become incidents, incidents become alerts. No AWS, no environment, no clock, no files.

The detector's Lambda function and the command line call the same code, so that a run on one machine and the deployed
service give the same alerts.
"""
