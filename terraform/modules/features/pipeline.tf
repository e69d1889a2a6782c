# The feature query as a state machine: the export's lines become files of features, one for each day. Each step makes a
# table of this run in Athena; the last one's files take their place under features/ and start the detector; the tables
# are dropped. The SQL is what `make package` renders from egress_features.

locals {
  machine = "${var.name}-features"

  # The SQL of a step, cut where the run's name and the number of days belong.
  statements = {
    for path in fileset(var.sql_dir, "*.sql") :
    path => regexall("(?s)(.*?)(__run__|__days__|$)", replace(file("${var.sql_dir}/${path}"), "__months__", var.pipeline.months))
  }

  # In the order of the files' names, which begin with a number.
  steps = [
    for path in sort(keys(local.statements)) : {
      name  = regex("^[0-9]+_(\\w+)\\.sql$", path)[0]
      parts = [for piece in local.statements[path] : piece[0]]
      holes = [for piece in local.statements[path] : trim(piece[1], "_")]
    }
  ]

  # What a step's statement is put together from: its pieces, and between them what fills the holes.
  pieces = {
    for step in local.steps : step.name => flatten([
      for i, hole in step.holes : concat(["$.sql.${step.name}[${i}]"], hole == "" ? [] : ["$.${hole}"])
    ])
  }
  query = {
    for name, pieces in local.pieces : name => "States.Format('${join("", [for _ in pieces : "{}"])}', ${join(", ", pieces)})"
  }

  run_names = join(", ", [for step in local.steps : "States.Format('${step.name}_{}', $.run)"])

  failed = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = "DropTablesAfterFailure" }]

  prepare = {
    Type = "Pass"
    Next = title(local.steps[0].name)
  }
  prepared = {
    # A name that no other run has.
    "run.$" = "States.Hash($$.Execution.Id, 'MD5')"
    sql     = { for step in local.steps : step.name => step.parts }
  }

  drop = {
    Type     = "Task"
    Resource = "arn:${local.partition}:states:::aws-sdk:glue:batchDeleteTable"
    Parameters = {
      DatabaseName       = aws_glue_catalog_database.this.name
      "TablesToDelete.$" = "States.Array(${local.run_names})"
    }
    ResultPath = null
  }

  definition = {
    Comment        = "Makes files of features of the newest days of the billing export."
    StartAt        = "AreDaysGiven"
    TimeoutSeconds = 7200
    States = merge(
      {
        AreDaysGiven = {
          Type    = "Choice"
          Choices = [{ Variable = "$.days", IsNumeric = true, Next = "PrepareGivenDays" }]
          Default = "Prepare"
        }
        Prepare          = merge(local.prepare, { Parameters = merge(local.prepared, { days = var.pipeline.days }) })
        PrepareGivenDays = merge(local.prepare, { Parameters = merge(local.prepared, { "days.$" = "$.days" }) })
      },
      {
        for i, step in local.steps : title(step.name) => {
          Type     = "Task"
          Resource = "arn:${local.partition}:states:::athena:startQueryExecution.sync"
          Parameters = {
            "QueryString.$"       = local.query[step.name]
            WorkGroup             = aws_athena_workgroup.this.name
            QueryExecutionContext = { Database = aws_glue_catalog_database.this.name }
          }
          ResultSelector = { "id.$" = "$.QueryExecution.QueryExecutionId" }
          ResultPath     = "$.query"
          Retry          = [{ ErrorEquals = ["Athena.TooManyRequestsException"], IntervalSeconds = 10, MaxAttempts = 5, BackoffRate = 2 }]
          Catch          = local.failed
          Next           = i + 1 < length(local.steps) ? title(local.steps[min(i + 1, length(local.steps) - 1)].name) : "ListFiles"
        }
      },
      {
        ListFiles = {
          Type           = "Task"
          Resource       = "arn:${local.partition}:states:::aws-sdk:s3:listObjectsV2"
          Parameters     = { Bucket = var.bucket, "Prefix.$" = "States.Format('athena/tables/{}/day=', $.query.id)" }
          ResultSelector = { "keys.$" = "$.Contents[*].Key" }
          ResultPath     = "$.files"
          Catch          = local.failed
          Next           = "PutFilesInPlace"
        }
        # One file a day, by the same name each time: it takes the place of the one before, as a whole.
        PutFilesInPlace = {
          Type           = "Map"
          ItemsPath      = "$.files.keys"
          ItemSelector   = { "key.$" = "$$.Map.Item.Value", "steps.$" = "States.StringSplit($$.Map.Item.Value, '/')" }
          MaxConcurrency = 10
          ItemProcessor = {
            ProcessorConfig = { Mode = "INLINE" }
            StartAt         = "Copy"
            States = {
              Copy = {
                Type     = "Task"
                Resource = "arn:${local.partition}:states:::aws-sdk:s3:copyObject"
                Parameters = {
                  Bucket         = var.bucket
                  "CopySource.$" = "States.Format('${var.bucket}/{}', $.key)"
                  "Key.$"        = "States.Format('${var.features_prefix}{}/athena.parquet', $.steps[3])"
                }
                ResultPath = null
                End        = true
              }
            }
          }
          ResultPath = null
          Catch      = local.failed
          Next       = "DropTables"
        }
        DropTables             = merge(local.drop, { OutputPath = "$.files", End = true })
        DropTablesAfterFailure = merge(local.drop, { Next = "Tell" })
        Tell = {
          Type     = "Task"
          Resource = "arn:${local.partition}:states:::sns:publish"
          Parameters = {
            TopicArn    = var.topic_arn
            Subject     = "${var.name}: no new features"
            "Message.$" = "States.Format('No features could be made of the export ${var.export_name}, so new hours are not scored. {}: {} Execution: {}', $.error.Error, $.error.Cause, $$.Execution.Id)"
          }
          ResultPath = null
          Next       = "Failed"
        }
        Failed = { Type = "Fail", Error = "NoFeatures", Cause = "See the message to the topic." }
      },
    )
  }
}

resource "aws_cloudwatch_log_group" "machine" {
  name              = "/aws/vendedlogs/states/${local.machine}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_sfn_state_machine" "this" {
  name       = local.machine
  role_arn   = aws_iam_role.machine.arn
  definition = jsonencode(local.definition)

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.machine.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.machine]
}

# Data Exports writes a manifest under metadata/ once all files of a delivery are there.
resource "aws_cloudwatch_event_rule" "export" {
  name        = "${local.machine}-export"
  description = "A billing export was delivered."

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [var.bucket] }
      object = { key = [{ prefix = "exports/${var.export_name}/metadata/" }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "export" {
  rule     = aws_cloudwatch_event_rule.export.name
  arn      = aws_sfn_state_machine.this.arn
  role_arn = aws_iam_role.start.arn
}
