# Athena tables over the files in the bucket, with partition projection and without crawlers.


data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  bucket_arn = "arn:${local.partition}:s3:::${var.bucket}"
  machine    = "${var.name}-features"
  database   = replace(var.name, "-", "_")

  keys     = ["account_id", "region", "service", "egress_class", "resource_id", "usage_type", "operation"]
  measures = ["usage_gb", "egress_gb", "cost_usd", "expected_usage_gb", "expected_egress_gb", "expected_cost_usd", "expected_spread_gb"]
  labels   = ["account_name", "tags"]
  features = ["excess_3d_log", "steady_18h_log", "repeated_3d_log", "beyond_habit_log", "persistence"]

  hours = concat(
    [{ name = "hour_utc", type = "timestamp" }],
    [for name in local.keys : { name = name, type = "string" }],
    [for name in local.measures : { name = name, type = "double" }],
    [for name in ["is_provisional", "is_estimated", "is_complete", "is_daily"] : { name = name, type = "boolean" }],
    [for name in local.labels : { name = name, type = "string" }],
    [for name in local.features : { name = name, type = "float" }],
  )

  clock = {
    year  = "2020,2099"
    month = "1,12"
    day   = "1,31"
    hour  = "0,23"
  }

  by_day = {
    partitions = ["day"]
    projection = {
      "projection.day.type"   = "date"
      "projection.day.format" = "yyyy-MM-dd"
      "projection.day.range"  = "2020-01-01,NOW"
    }
  }

  tables = merge(local.own_tables, local.flow_log_tables)

  own_tables = {
    features = merge(local.by_day, { location = "${var.features_prefix}day=$${day}/", columns = local.hours })
    scored = merge(local.by_day, {
      location = "${var.scored_prefix}day=$${day}/"
      columns = concat(local.hours, [
        { name = "is_anomaly", type = "tinyint" }, { name = "anomaly_score", type = "double" }, { name = "p_value", type = "double" },
        { name = "model_id", type = "string" },
      ])
    })
    # Data Exports writes PREFIX/NAME/data/BILLING_PERIOD=YYYY-MM/.
    cur_2_0 = {
      partitions = ["billing_period"]
      location   = "exports/${var.export_name}/data/BILLING_PERIOD=$${billing_period}/"
      columns = concat(
        [for name in ["line_item_usage_start_date", "line_item_usage_end_date"] : { name = name, type = "timestamp" }],
        [for name in [
          "bill_invoice_id", "identity_line_item_id", "identity_time_interval", "line_item_currency_code",
          "line_item_line_item_type", "line_item_operation", "line_item_product_code", "line_item_resource_id",
          "line_item_usage_account_id", "line_item_usage_account_name", "line_item_usage_type", "product_product_family",
          "product_region_code",
        ] : { name = name, type = "string" }],
        [for name in ["cost_category", "resource_tags"] : { name = name, type = "map<string,string>" }],
        [for name in ["line_item_net_unblended_cost", "line_item_unblended_cost", "line_item_usage_amount"] : { name = name, type = "double" }],
      )
      projection = {
        "projection.billing_period.type"          = "date"
        "projection.billing_period.format"        = "yyyy-MM"
        "projection.billing_period.range"         = "2020-01,NOW"
        "projection.billing_period.interval"      = "1"
        "projection.billing_period.interval.unit" = "MONTHS"
      }
    }
  }
}

locals {
  # VPC Flow Logs in parquet with Hive-compatible folders, by the hour.
  flow_log_tables = {
    for each in var.flow_logs == null ? [] : [var.flow_logs] : "flow_logs" => {
      bucket     = each.bucket
      partitions = ["aws_account_id", "aws_region", "year", "month", "day", "hour"]
      location   = "${each.prefix}AWSLogs/aws-account-id=$${aws_account_id}/aws-service=vpcflowlogs/aws-region=$${aws_region}/year=$${year}/month=$${month}/day=$${day}/hour=$${hour}/"
      columns = concat(
        [for name in ["version", "srcport", "dstport", "protocol", "tcp_flags", "traffic_path"] : { name = name, type = "int" }],
        [for name in ["packets", "bytes", "start", "end"] : { name = name, type = "bigint" }],
        [for name in [
          "account_id", "interface_id", "srcaddr", "dstaddr", "action", "log_status", "vpc_id", "subnet_id", "instance_id",
          "pkt_srcaddr", "pkt_dstaddr", "region", "az_id", "pkt_src_aws_service", "pkt_dst_aws_service", "flow_direction",
          "resource_id", "interface_type", "next_hop_az_id", "next_hop_interface_type",
        ] : { name = name, type = "string" }],
      )
      projection = merge(
        {
          "projection.aws_account_id.type"   = "enum"
          "projection.aws_account_id.values" = join(",", each.account_ids)
          "projection.aws_region.type"       = "enum"
          "projection.aws_region.values"     = join(",", each.regions)
        },
        [
          for key, range in local.clock : {
            "projection.${key}.type"   = "integer"
            "projection.${key}.range"  = range
            "projection.${key}.digits" = key == "year" ? "4" : "2"
          }
        ]...
      )
    }
  }
}

resource "aws_glue_catalog_database" "this" {
  name = local.database
  tags = var.tags
}

resource "aws_glue_catalog_table" "this" {
  for_each = local.tables

  name          = each.key
  database_name = aws_glue_catalog_database.this.name
  table_type    = "EXTERNAL_TABLE"

  parameters = merge(each.value.projection, {
    "EXTERNAL"                  = "TRUE"
    "classification"            = "parquet"
    "projection.enabled"        = "true"
    "storage.location.template" = "s3://${try(each.value.bucket, var.bucket)}/${each.value.location}"
  })

  dynamic "partition_keys" {
    for_each = each.value.partitions

    content {
      name = partition_keys.value
      type = "string"
    }
  }

  storage_descriptor {
    location      = "s3://${try(each.value.bucket, var.bucket)}/${split("$", each.value.location)[0]}"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }
}

resource "aws_athena_workgroup" "this" {
  name          = var.name
  description   = "Queries over exports, features and scored rows."
  force_destroy = true
  tags          = var.tags

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.max_scanned_gb * 1000 * 1000 * 1000

    result_configuration {
      output_location = "s3://${var.bucket}/athena/"

      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = var.kms_key_arn
      }
    }
  }
}

resource "aws_athena_named_query" "this" {
  for_each = local.queries

  name        = each.key
  description = each.value.description
  workgroup   = aws_athena_workgroup.this.id
  database    = aws_glue_catalog_database.this.name
  query       = each.value.query
}

locals {
  queries = {
    worst-hours = {
      description = "The most anomalous hours of the last seven days, with their expected amounts."
      query       = <<-SQL
        SELECT hour_utc, account_id, region, service, egress_class, resource_id, usage_gb, expected_usage_gb,
          cost_usd, expected_cost_usd, anomaly_score
        FROM scored
        WHERE day >= date_format(current_date - INTERVAL '7' DAY, '%Y-%m-%d') AND is_anomaly = 1
        ORDER BY anomaly_score
        LIMIT 100
      SQL
    }
    egress-by-day = {
      description = "GB and dollars by day and class of the last 60 days."
      query       = <<-SQL
        SELECT day, egress_class, SUM(egress_gb) AS egress_gb, SUM(cost_usd) AS cost_usd
        FROM features
        WHERE day >= date_format(current_date - INTERVAL '60' DAY, '%Y-%m-%d')
        GROUP BY day, egress_class
        ORDER BY day, egress_class
      SQL
    }
  }
}
