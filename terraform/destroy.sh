#!/usr/bin/env bash
# Destroys what a folder applied, with all alerts and objects, in two phases: AWS deletes neither a bucket that holds
# objects nor a table that is protected, so both are opened first. It says what will be deleted, and asks.
#   terraform/destroy.sh FOLDER      with CONFIRM=yes it does not ask; variables come from TF_VAR_* or *.tfvars
set -euo pipefail
cd "${1:?which folder?}"

held=$(terraform state list)
managed=$(grep -Ev '(^|\.)data\.' <<<"$held" || true)
if [ -z "$managed" ]; then
  echo "There is nothing to destroy: the state of $1 is empty."
  exit 0
fi
# Only these refuse to be deleted.
stores=$(grep -E '\.(aws_s3_bucket|aws_dynamodb_table)\.' <<<"$managed" || true)

echo "These $(wc -l <<<"$managed" | tr -d ' ') resources will be deleted:"
grep -Eo '(aws_[a-z0-9_]+|terraform_data)\.[^.]+$' <<<"$managed" | cut -d. -f1 | sort | uniq -c
while read -r address; do
  [ -n "$address" ] || continue
  name=$(terraform state show -no-color "$address" | sed -nE 's/^    (bucket|name) += "(.*)"$/\2/p' | head -n 1)
  echo "All that is in $name goes with it."
done <<<"$stores"
echo "AWS deletes the KMS key 30 days later; until then 'aws kms cancel-key-deletion' keeps it."

if [ "${CONFIRM:-}" != yes ]; then
  read -rp "Type yes to delete all this: " answer
  if [ "$answer" != yes ]; then
    echo "Nothing was deleted."
    exit 1
  fi
fi

targets=()
while read -r address; do
  [ -z "$address" ] || targets+=("-target=$address")
done <<<"$stores"
if [ "${#targets[@]}" -gt 0 ]; then
  terraform apply -input=false -auto-approve -var force_destroy=true "${targets[@]}"
fi
terraform destroy -input=false -auto-approve -var force_destroy=true
