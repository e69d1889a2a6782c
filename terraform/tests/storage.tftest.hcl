# The storage module's data export, without AWS: the provider is mocked.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws-cn" }
  }
}

run "export_names_the_primary_billing_view" {
  command = plan

  module {
    source = "./modules/storage"
  }

  variables {
    name                  = "egress-sentinel"
    scored_prefix         = "scored/"
    alerts_prefix         = "alerts/"
    scored_retention_days = 400
    data_export           = { name = "egress" }
    force_destroy         = false
  }

  assert {
    condition = (
      aws_bcmdataexports_export.this[0].export[0].data_query[0].table_configurations.COST_AND_USAGE_REPORT.BILLING_VIEW_ARN
      == "arn:aws-cn:billing::111122223333:billingview/primary"
    )
    error_message = "The export must name the account's primary billing view in its partition."
  }
}
