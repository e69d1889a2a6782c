# The states of the machine. Its input may have `days` to write, `flow_days` of flow logs to read, the `prefix` to write to,
# and `notify`: whether the topic is notified of a failure.

locals {
  # The SQL of a step, cut where the run's name and the number of days belong.
  tags = join("', '", var.alert_tags)
  cut = {
    for path in fileset(var.sql_dir, "*.sql") :
    path => regexall("(?s)(.*?)(__run__|__days__|__flow_days__|$)", replace(replace(file("${var.sql_dir}/${path}"), "__months__", var.months), "__tags__", local.tags))
  }
  holes = { "__run__" = ["$.run"], "__days__" = ["$.asked.days"], "__flow_days__" = ["$.asked.flow_days"], "" = [] }

  # Sorted by the files' names, which start with a number.
  steps = [
    for path in sort(keys(local.cut)) : {
      name   = regex("^[0-9]+_(\\w+)\\.sql$", path)[0]
      pieces = [for cut in local.cut[path] : cut[0]]
      holes  = [for cut in local.cut[path] : local.holes[cut[1]]]
    }
  ]
  # The parts of a step's statement: the pieces of SQL, and the values between them.
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
        WorkGroup             = var.workgroup.name
        QueryExecutionContext = { Database = var.database }
      }
      ResultSelector = { "id.$" = "$.QueryExecution.QueryExecutionId" }
      ResultPath     = "$.query"
      TimeoutSeconds = 3600
      Retry          = [{ ErrorEquals = ["Athena.TooManyRequestsException"], IntervalSeconds = 10, MaxAttempts = 5, BackoffRate = 2 }]
      Next           = try(var.keeps.step, "") == step.name ? "KeepTable" : local.after[i]
    }
  }
  after = slice(concat(local.names, ["ListFiles"]), 1, length(local.names) + 1)

  # From now on, the table of another query uses this step's files.
  keep = {
    for keeps in var.keeps[*] : "KeepTable" => {
      Type     = "Task"
      Resource = "arn:${local.partition}:states:::aws-sdk:glue:updateTable"
      Parameters = {
        DatabaseName = var.database
        TableInput = {
          Name       = keeps.table
          TableType  = "EXTERNAL_TABLE"
          Parameters = { EXTERNAL = "TRUE", classification = "parquet" }
          StorageDescriptor = {
            "Location.$" = "States.Format('s3://${var.bucket}/athena/tables/{}/', $.query.id)"
            Columns      = [for column in keeps.columns : { Name = column.name, Type = column.type }]
            InputFormat  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
            OutputFormat = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
            SerdeInfo    = { SerializationLibrary = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe" }
          }
        }
      }
      ResultPath = null
      Next       = local.after[index(local.steps[*].name, keeps.step)]
    }
  }

  # Pages of interfaces without an instance, as parallel lists. A page of 50 is far below the limit of a state's data.
  list_interfaces = {
    Type     = "Task"
    Resource = "arn:${local.partition}:states:::aws-sdk:ec2:describeNetworkInterfaces"
    Parameters = {
      Filters    = [{ Name = "description", Values = ["Interface for NAT Gateway *", "ELB *"] }]
      MaxResults = 50
    }
    ResultPath = "$.listed"
    Next       = "PutInterfaces"
  }
  network = { for name, state in local.of_network : name => state if var.network_prefix != null }
  of_network = {
    ListInterfaces = local.list_interfaces
    PutInterfaces = {
      Type     = "Task"
      Resource = "arn:${local.partition}:states:::aws-sdk:s3:putObject"
      Parameters = {
        Bucket  = var.bucket
        "Key.$" = "States.Format('${var.network_prefix == null ? "" : var.network_prefix}${local.account_id}-${local.region}-{}.json', $.page.number)"
        Body = {
          "interface_ids.$"   = "$.listed.NetworkInterfaces[*].NetworkInterfaceId"
          "descriptions.$"    = "$.listed.NetworkInterfaces[*].Description"
          "interface_types.$" = "$.listed.NetworkInterfaces[*].InterfaceType"
          "zones.$"           = "$.listed.NetworkInterfaces[*].AvailabilityZone"
          "owners.$"          = "$.listed.NetworkInterfaces[*].OwnerId"
        }
      }
      ResultPath = null
      Next       = "CountPages"
    }
    CountPages = {
      Type       = "Pass"
      Parameters = { "number.$" = "States.MathAdd($.page.number, 1)" }
      ResultPath = "$.page"
      Next       = "AreThereMoreInterfaces"
    }
    AreThereMoreInterfaces = {
      Type    = "Choice"
      Choices = [{ Variable = "$.listed.NextToken", IsPresent = true, Next = "ListMoreInterfaces" }]
      Default = local.names[0]
    }
    ListMoreInterfaces = merge(local.list_interfaces, {
      Parameters = merge(local.list_interfaces.Parameters, { "NextToken.$" = "$.listed.NextToken" })
    })
  }
  # One file per day, always with the same name, so that a new file replaces the previous one atomically.
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
    # In the order of the days, which the detector requires.
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

  # After a failure of any step, the machine records the step in "Failed at STEP", drops the tables and notifies.
  caught = {
    for name, state in merge(local.make_tables, local.keep, { for name, state in local.network : name => state if state.Type == "Task" }, local.files) : name => merge(state, {
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
      DatabaseName       = var.database
      "TablesToDelete.$" = "States.Array(${local.run_names})"
    }
    ResultPath = null
  }

  states = {
    Defaults = { Type = "Pass", Result = var.defaults, ResultPath = "$.defaults", Next = "Prepare" }
    Prepare = {
      Type = "Pass"
      Parameters = {
        "asked.$" = "States.JsonMerge($.defaults, $$.Execution.Input, false)"
        "run.$"   = "States.Hash($$.Execution.Id, 'MD5')" # unique per run
        page      = { number = 0 }
        sql       = { for step in local.steps : step.name => step.pieces }
      }
      Next = var.network_prefix == null ? local.names[0] : "ListInterfaces"
    }
    AreThereFiles = {
      Type    = "Choice"
      Choices = [{ Variable = "$.files.Contents[0]", IsPresent = true, Next = "PutFilesInPlace" }]
      Default = var.if_empty == null ? "DropTables" : "NoLines"
    }
    DropTables             = merge(local.drop, { OutputPath = "$.asked", End = true })
    DropTablesAfterFailure = merge(local.drop, { Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = null, Next = "ShouldNotify" }], Next = "ShouldNotify" })
    # The caller may notify of a failure itself. `tells` is the earlier name of `notify`.
    ShouldNotify = {
      Type = "Choice"
      Choices = [
        {
          And  = [{ Variable = "$.asked.tells", IsPresent = true }, { Variable = "$.asked.tells", BooleanEquals = false }]
          Next = "Failed"
        },
        {
          And  = [{ Variable = "$.asked.tells", IsPresent = true }, { Variable = "$.asked.tells", BooleanEquals = true }]
          Next = "Explain"
        },
        { Variable = "$.asked.notify", BooleanEquals = true, Next = "Explain" },
      ]
      Default = "Failed"
    }
    Explain = {
      Type     = "Task"
      Resource = "arn:${local.partition}:states:::lambda:invoke"
      Parameters = {
        FunctionName = var.explainer.name
        Payload = {
          action        = "explain"
          what          = var.words.query
          "step.$"      = "$.failed_step"
          "error.$"     = "$.error.Error"
          "cause.$"     = "$.error.Cause"
          "execution.$" = "$$.Execution.Name"
        }
      }
      ResultSelector = { "sentence.$" = "$.Payload.sentence" }
      ResultPath     = "$.explained"
      TimeoutSeconds = 60
      Catch          = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.unexplained", Next = "NotifyUnexplained" }]
      Next           = "Notify"
    }
    Notify            = merge(local.notify, { Parameters = merge(local.message, { "Message.$" = "States.Format('${var.words.consequence} {}', $.explained.sentence)" }) })
    NotifyUnexplained = merge(local.notify, { Parameters = merge(local.message, { "Message.$" = "States.Format('${var.words.consequence} ${var.words.query} {} failed at {}: {} {}', $$.Execution.Name, $.failed_step, $.error.Error, $.error.Cause)" }) })
    Failed            = { Type = "Fail", ErrorPath = "$.error.Error", CausePath = "$.error.Cause" }
  }

  notify  = { Type = "Task", Resource = "arn:${local.partition}:states:::sns:publish", ResultPath = null, Next = "Failed" }
  message = { TopicArn = var.topic_arn, Subject = "${var.words.subject}" }

  empty = {
    for cause in var.if_empty[*] : "NoLines" => {
      Type       = "Pass"
      Result     = { Error = "NoLines", Cause = cause }
      ResultPath = "$.error"
      Next       = "Failed at ListFiles"
    }
  }

  definition = {
    Comment = var.comment
    StartAt = "Defaults"
    States  = merge(local.states, local.empty, local.network, local.caught, local.failures)
  }
}
