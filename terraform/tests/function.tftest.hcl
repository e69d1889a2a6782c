# What the function module makes and what it refuses, without AWS: the provider is mocked. Requires `make package`.

mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/egress-sentinel-detector" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/egress-sentinel-detector" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:111122223333:egress-sentinel-detector-dead-letters" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:egress-sentinel-detector" }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/egress-sentinel-detector-hourly" }
  }
}

variables {
  name               = "egress-sentinel-detector"
  description        = "Scores new hours."
  zip                = "../build/anomaly_detector.zip"
  handler            = "anomaly_detector.handler.lambda_handler"
  memory_mb          = 512
  environment        = { BUCKET = "bucket" }
  kms_key_arn        = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  log_retention_days = 365
  policy = {
    name       = "detect"
    statements = { ReadHours = { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::bucket/features/*"] } }
  }
}

run "started_by_a_rule" {
  module {
    source = "./modules/function"
  }

  variables {
    event_rules = { hourly = { description = "Every hour.", schedule = "rate(1 hour)" } }
  }

  assert {
    condition     = aws_lambda_function.this.dead_letter_config[0].target_arn == aws_sqs_queue.dead_letters[0].arn
    error_message = "Failed events must go to the dead-letter queue."
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.this[0].maximum_retry_attempts == 2
    error_message = "Events of rules must be retried twice."
  }

  assert {
    condition     = strcontains(aws_sqs_queue_policy.dead_letters[0].policy, aws_cloudwatch_event_rule.this["hourly"].arn)
    error_message = "EventBridge must be allowed to write to the dead-letter queue for the rule."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid] == [
      "ReadHours", "DeadLetters", "Log", "Encryption", "Trace",
    ]
    error_message = "The policy must have the caller's statements and those of every function."
  }

  assert {
    condition     = output.environment == tomap({ BUCKET = "bucket", POWERTOOLS_SERVICE_NAME = "egress-sentinel-detector" })
    error_message = "The function's logs must name it."
  }
}

run "called_by_its_user_alone" {
  module {
    source = "./modules/function"
  }

  variables {
    has_dead_letter_queue = false
  }

  assert {
    condition     = output.dead_letter_queue == null && length(aws_lambda_function.this.dead_letter_config) == 0
    error_message = "A function that its caller waits for must have no dead-letter queue."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.this.policy, "sqs:")
    error_message = "Without a queue the role must have no right to send to one."
  }
}

run "refuses_a_wildcard_action" {
  command         = plan
  expect_failures = [var.policy]

  module {
    source = "./modules/function"
  }

  variables {
    policy = { name = "detect", statements = { All = { actions = ["s3:*"], resources = ["arn:aws:s3:::bucket"] } } }
  }
}

run "refuses_every_resource" {
  command         = plan
  expect_failures = [var.policy]

  module {
    source = "./modules/function"
  }

  variables {
    policy = { name = "detect", statements = { All = { actions = ["s3:GetObject"], resources = ["*"] } } }
  }
}

run "refuses_rules_without_a_dead_letter_queue" {
  command         = plan
  expect_failures = [var.event_rules]

  module {
    source = "./modules/function"
  }

  variables {
    has_dead_letter_queue = false
    event_rules           = { hourly = { description = "Every hour.", schedule = "rate(1 hour)" } }
  }
}

run "refuses_a_rule_with_pattern_and_schedule" {
  command         = plan
  expect_failures = [var.event_rules]

  module {
    source = "./modules/function"
  }

  variables {
    event_rules = { hourly = { description = "Every hour.", schedule = "rate(1 hour)", pattern = "{}" } }
  }
}
