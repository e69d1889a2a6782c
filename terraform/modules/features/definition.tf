# The states of the machine. Its input may say `days` to write, the `prefix` to write to, and whether it `tells` the topic
# of a failure.

locals {
  defaults = { days = var.pipeline.days, prefix = var.features_prefix, tells = true }

  # The SQL of a step, cut where the run's name and the number of days belong.
  cut = {
    for path in fileset(var.sql_dir, "*.sql") :
    path => regexall("(?s)(.*?)(__run__|__days__|$)", replace(file("${var.sql_dir}/${path}"), "__months__", var.pipeline.months))
  }
  holes = { "__run__" = ["$.run"], "__days__" = ["$.asked.days"], "" = [] }

  # In the order of the files' names, which begin with a number.
  steps = [
    for path in sort(keys(local.cut)) : {
      name   = regex("^[0-9]+_(\\w+)\\.sql$", path)[0]
      pieces = [for cut in local.cut[path] : cut[0]]
      holes  = [for cut in local.cut[path] : local.holes[cut[1]]]
    }
  ]
  # What a step's statement is put together from: its pieces, and between them what fills the holes.
  parts = {
    for step in local.steps : step.name => flatten([
      for i, filling in step.holes : concat(["$.sql.${step.name}[${i}]"], filling)
    ])
  }
  names     = [for step in local.steps : title(step.name)]
  run_names = join(", ", [for step in local.steps : "States.Format('${step.name}_{}', $.run)"])

  make_tables = {
    for i, step in local.steps : local.names[i] => {
      Type     = "Task"
      Resource = "arn:${local.partition}:states:::athena:startQueryExecution.sync"
      Parameters = {
        "QueryString.$"       = "States.Format('${join("", [for _ in local.parts[step.name] : "{}"])}', ${join(", ", local.parts[step.name])})"
        WorkGroup             = aws_athena_workgroup.this.name
        QueryExecutionContext = { Database = aws_glue_catalog_database.this.name }
      }
      ResultSelector = { "id.$" = "$.QueryExecution.QueryExecutionId" }
      ResultPath     = "$.query"
      TimeoutSeconds = 3600
      Retry          = [{ ErrorEquals = ["Athena.TooManyRequestsException"], IntervalSeconds = 10, MaxAttempts = 5, BackoffRate = 2 }]
      Next           = concat(local.names, ["ListFiles"])[i + 1]
    }
  }

  # One file a day, by the same name each time: it takes the place of the one before, as a whole.
  put_in_place = {
    Copy = {
      Type     = "Task"
      Resource = "arn:${local.partition}:states:::aws-sdk:s3:copyObject"
      Parameters = {
        Bucket         = var.bucket
        "CopySource.$" = "States.Format('${var.bucket}/{}', $.key)"
        "Key.$"        = "States.Format('{}{}/athena.parquet', $.prefix, $.steps[3])"
      }
      ResultPath = null
      End        = true
    }
  }
  files = {
    ListFiles = {
      Type       = "Task"
      Resource   = "arn:${local.partition}:states:::aws-sdk:s3:listObjectsV2"
      Parameters = { Bucket = var.bucket, "Prefix.$" = "States.Format('athena/tables/{}/day=', $.query.id)" }
      ResultPath = "$.files"
      Next       = "AreThereFiles"
    }
    # In the order of the days, as the detector wants to see them.
    PutFilesInPlace = {
      Type           = "Map"
      ItemsPath      = "$.files.Contents"
      ItemSelector   = { "key.$" = "$$.Map.Item.Value.Key", "steps.$" = "States.StringSplit($$.Map.Item.Value.Key, '/')", "prefix.$" = "$.asked.prefix" }
      MaxConcurrency = 1
      ItemProcessor  = { ProcessorConfig = { Mode = "INLINE" }, StartAt = "Copy", States = local.put_in_place }
      ResultPath     = null
      Next           = "DropTables"
    }
  }

  # A failure of any step goes on to "Failed at STEP", to the tables being dropped, and to a message.
  caught = {
    for name, state in merge(local.make_tables, local.files) : name => merge(state, {
      Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = "Failed at ${name}" }]
    })
  }
  failures = {
    for name in keys(local.caught) : "Failed at ${name}" => {
      Type = "Pass", Result = name, ResultPath = "$.failed_step", Next = "DropTablesAfterFailure"
    }
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

  states = {
    Defaults = { Type = "Pass", Result = local.defaults, ResultPath = "$.defaults", Next = "Prepare" }
    Prepare = {
      Type = "Pass"
      Parameters = {
        "asked.$" = "States.JsonMerge($.defaults, $$.Execution.Input, false)"
        "run.$"   = "States.Hash($$.Execution.Id, 'MD5')" # a name that no other run has
        sql       = { for step in local.steps : step.name => step.pieces }
      }
      Next = local.names[0]
    }
    AreThereFiles = {
      Type    = "Choice"
      Choices = [{ Variable = "$.files.Contents[0]", IsPresent = true, Next = "PutFilesInPlace" }]
      Default = "NoLines"
    }
    NoLines = {
      Type       = "Pass"
      Result     = { Error = "NoLines", Cause = "the export ${var.export_name} has no line of egress in the last ${var.pipeline.months} months; is it delivered to s3://${var.bucket}/exports/${var.export_name}/data/?" }
      ResultPath = "$.error"
      Next       = "Failed at ListFiles"
    }
    DropTables             = merge(local.drop, { OutputPath = "$.asked", End = true })
    DropTablesAfterFailure = merge(local.drop, { Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = null, Next = "DoesItTell" }], Next = "DoesItTell" })
    # Who asked for this run may tell of it.
    DoesItTell = {
      Type    = "Choice"
      Choices = [{ Variable = "$.asked.tells", BooleanEquals = true, Next = "Explain" }]
      Default = "Failed"
    }
    Explain = {
      Type     = "Task"
      Resource = "arn:${local.partition}:states:::lambda:invoke"
      Parameters = {
        FunctionName = var.explainer.name
        Payload = {
          action        = "explain"
          what          = "The feature query"
          "step.$"      = "$.failed_step"
          "error.$"     = "$.error.Error"
          "cause.$"     = "$.error.Cause"
          "execution.$" = "$$.Execution.Name"
        }
      }
      ResultSelector = { "sentence.$" = "$.Payload.sentence" }
      ResultPath     = "$.explained"
      TimeoutSeconds = 60
      Catch          = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.unexplained", Next = "TellAsItIs" }]
      Next           = "Tell"
    }
    Tell       = merge(local.tell, { Parameters = merge(local.message, { "Message.$" = "States.Format('No new hours are scored. {}', $.explained.sentence)" }) })
    TellAsItIs = merge(local.tell, { Parameters = merge(local.message, { "Message.$" = "States.Format('No new hours are scored. The feature query {} failed at {}: {} {}', $$.Execution.Name, $.failed_step, $.error.Error, $.error.Cause)" }) })
    Failed     = { Type = "Fail", ErrorPath = "$.error.Error", CausePath = "$.error.Cause" }
  }

  tell    = { Type = "Task", Resource = "arn:${local.partition}:states:::sns:publish", ResultPath = null, Next = "Failed" }
  message = { TopicArn = var.topic_arn, Subject = "${var.name}: no new features" }

  definition = {
    Comment = "Makes files of features of the newest days of the billing export."
    StartAt = "Defaults"
    States  = merge(local.states, local.caught, local.failures)
  }
}
