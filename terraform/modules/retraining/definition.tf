locals {
  # The steps. After a failure of any step, the machine runs "Explain", sends a message and fails.
  steps = concat(
    # Builds the training set from the current bill. That machine does not notify of a failure, because this one does.
    [for machine in local.features : {
      name = "Features"
      state = {
        Type     = "Task"
        Resource = "arn:${local.partition}:states:::states:startExecution.sync:2"
        Parameters = {
          StateMachineArn = machine.state_machine_arn
          Input = {
            days                                           = machine.days
            prefix                                         = var.training_prefix
            notify                                         = false
            "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$" = "$$.Execution.Id"
          }
        }
        ResultPath     = null
        TimeoutSeconds = 14400
      }
    }],
    [
      {
        name = "Prepare"
        state = {
          Type     = "Task"
          Resource = "arn:${local.partition}:states:::lambda:invoke"
          Parameters = {
            FunctionName = var.registrar_name
            Payload      = { action = "prepare", "execution.$" = "$$.Execution.Name" }
          }
          ResultSelector = {
            "training_job_name.$" = "$.Payload.training_job_name"
            "artifact.$"          = "$.Payload.artifact"
            "exclude.$"           = "$.Payload.exclude"
          }
          ResultPath     = "$.prepared"
          TimeoutSeconds = 300
          Retry          = local.retry_lambda
        }
      },
      {
        name = "Train"
        state = {
          Type           = "Task"
          Resource       = "arn:${local.partition}:states:::sagemaker:createTrainingJob.sync"
          Parameters     = local.training_job
          ResultSelector = { "artifact.$" = "$.ModelArtifacts.S3ModelArtifacts" }
          ResultPath     = "$.trained"
          TimeoutSeconds = var.max_training_seconds + 1800
        }
      },
      {
        name = "Register"
        state = {
          Type     = "Task"
          Resource = "arn:${local.partition}:states:::lambda:invoke"
          Parameters = {
            FunctionName = var.registrar_name
            Payload      = { action = "register", "artifact.$" = "$.trained.artifact" }
          }
          ResultSelector = {
            "model_package_arn.$" = "$.Payload.model_package_arn", "description.$" = "$.Payload.description"
          }
          ResultPath     = "$.registered"
          TimeoutSeconds = 300
          Retry          = local.retry_lambda
        }
      },
      {
        name = "Notify"
        state = {
          Type     = "Task"
          Resource = "arn:${local.partition}:states:::sns:publish"
          Parameters = {
            TopicArn = var.topic_arn
            Subject  = "A new model waits for approval"
            "Message.$" = join("", [
              "States.Format('{}\n{}\nSee: egress-sentinel models list; then models approve or models reject.', ",
              "$.registered.description, $.registered.model_package_arn)",
            ])
          }
          ResultPath     = null
          TimeoutSeconds = 60
        }
      },
    ],
  )

  training_job = {
    "TrainingJobName.$" = "$.prepared.training_job_name"
    RoleArn             = aws_iam_role.training.arn
    AlgorithmSpecification = {
      TrainingImage     = var.image
      TrainingInputMode = "File"
      MetricDefinitions = [
        for name in ["rows", "rows_left_out", "share_flagged", "holdout_share_flagged", "recall_injected"] : { Name = name, Regex = "(?:^|\\s)${name}=([0-9.]+);" }
      ]
    }
    HyperParameters = merge(var.hyperparameters, {
      holdout_share              = tostring(var.holdout_share)
      sagemaker_program          = "anomaly_detection.training_script"
      sagemaker_submit_directory = "s3://${aws_s3_object.source.bucket}/${aws_s3_object.source.key}"
      sagemaker_region           = local.region
    })
    InputDataConfig = [
      {
        ChannelName = "train"
        DataSource  = { S3DataSource = { S3DataType = "S3Prefix", S3Uri = "s3://${var.bucket}/${var.training_prefix}" } }
      },
      {
        # The hours of alerts and of planned events, which the previous step read from the alerts table and the calendar.
        ChannelName = "exclude"
        DataSource  = { S3DataSource = { S3DataType = "S3Prefix", "S3Uri.$" = "$.prepared.exclude" } }
      },
      {
        ChannelName = "serving"
        DataSource  = { S3DataSource = { S3DataType = "S3Prefix", "S3Uri.$" = "$.prepared.artifact" } }
      },
    ]
    OutputDataConfig = { S3OutputPath = "s3://${var.bucket}/models/training/", KmsKeyId = var.kms_key_arn }
    ResourceConfig = merge(
      { InstanceType = var.instance_type, InstanceCount = 1, VolumeSizeInGB = 30 },
      # SageMaker rejects a key for the volumes of instances with local NVMe storage, which their hardware encrypts.
      can(regex("^ml\\.(?:[a-z]+[0-9]+[a-z]*d[a-z]*|g5|g6|g6e|gr6|p5|p5e|p5en|trn1|trn1n|trn2)\\.", var.instance_type)) ? {} : { VolumeKmsKeyId = var.kms_key_arn },
    )
    StoppingCondition = { MaxRuntimeInSeconds = var.max_training_seconds }
    Tags              = [for key, value in var.tags : { Key = key, Value = value }]
  }

  retry_lambda = [{
    ErrorEquals     = ["Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException", "Lambda.TooManyRequestsException"]
    IntervalSeconds = 2
    MaxAttempts     = 4
    BackoffRate     = 2
  }]

  names = [for step in local.steps : step.name]

  states = merge(
    {
      for index, step in local.steps : step.name => merge(
        { for key, value in step.state : key => value if value != null || key == "ResultPath" },
        { Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = "Failed at ${step.name}" }] },
        index == length(local.steps) - 1 ? { End = true } : { Next = local.names[index + 1] },
      )
    },
    {
      for step in local.steps : "Failed at ${step.name}" => {
        Type       = "Pass"
        Result     = step.name
        ResultPath = "$.failed_step"
        Next       = "Explain"
      }
    },
    {
      Explain = {
        Type     = "Task"
        Resource = "arn:${local.partition}:states:::lambda:invoke"
        Parameters = {
          FunctionName = var.registrar_name
          Payload = {
            action        = "explain"
            "step.$"      = "$.failed_step"
            "error.$"     = "$.error.Error"
            "cause.$"     = "$.error.Cause"
            "execution.$" = "$$.Execution.Name"
          }
        }
        ResultSelector = { "sentence.$" = "$.Payload.sentence" }
        ResultPath     = "$.explained"
        TimeoutSeconds = 60
        Retry          = local.retry_lambda
        Catch          = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.unexplained", Next = "Notify without explanation" }]
        Next           = "Notify of the failure"
      }
      "Notify of the failure" = {
        Type     = "Task"
        Resource = "arn:${local.partition}:states:::sns:publish"
        Parameters = {
          TopicArn    = var.topic_arn
          "Subject.$" = "States.Format('Retraining failed at {}', $.failed_step)"
          "Message.$" = "$.explained.sentence"
        }
        ResultPath     = "$.notified"
        TimeoutSeconds = 60
        Next           = "Failed"
      }
      "Notify without explanation" = {
        Type     = "Task"
        Resource = "arn:${local.partition}:states:::sns:publish"
        Parameters = {
          TopicArn    = var.topic_arn
          "Subject.$" = "States.Format('Retraining failed at {}', $.failed_step)"
          "Message.$" = "States.Format('Retraining {} failed at {}: {} {}', $$.Execution.Name, $.failed_step, $.error.Error, $.error.Cause)"
        }
        ResultPath     = "$.notified"
        TimeoutSeconds = 60
        Next           = "Failed"
      }
      Failed = {
        Type  = "Fail"
        Error = "RetrainingFailed"
        Cause = "A step failed. The notification names the step and the reason."
      }
    },
  )

  definition = {
    Comment = "Features, a training job, quality checks and the registry. The same execution name runs only once."
    StartAt = local.names[0]
    States  = local.states
  }
}
