#!/usr/bin/env bash
# Destroys what `terraform apply` created in a folder, with its data. AWS does not delete a bucket that holds objects or a
# protected table, so the first phase applies force_destroy to these, and the second phase destroys everything.
#   terraform/destroy.sh FOLDER
# It lists what it will delete and asks; CONFIRM=yes skips the question. Set variables in TF_VAR_* or *.tfvars.
set -euo pipefail
cd "${1:?which folder?}"

held=$(terraform state list)
managed=$(grep -Ev '(^|\.)data\.' <<<"$held" || true)
if [ -z "$managed" ]; then
  echo "There is nothing to destroy: the state of $1 is empty."
  exit 0
fi
# AWS refuses to delete these while they hold data.
stores=$(grep -E '(^|\.)(aws_s3_bucket|aws_dynamodb_table)\.' <<<"$managed" || true)

echo "These $(wc -l <<<"$managed" | tr -d ' ') resources will be deleted:"
# An address ends with TYPE.NAME, and maybe a key such as ["you@example.com"].
sed -E 's/\[("[^"]*"|[0-9]+)\]//g; s/^(.*\.)?([a-z0-9_]+)\.[^.]+$/\2/' <<<"$managed" | sort | uniq -c
while read -r address; do
  [ -n "$address" ] || continue
  name=$(terraform state show -no-color "$address" | sed -nE 's/^    (bucket|name) += "(.*)"$/\2/p' | head -n 1)
  echo "Everything in $name will be deleted too."
done <<<"$stores"
grep -q '\.aws_kms_key\.' <<<"$managed" &&
  echo "AWS deletes the KMS key after 30 days. Until then, 'aws kms cancel-key-deletion' restores it."

if [ "${CONFIRM:-}" != yes ]; then
  read -rp "Type yes to delete all this: " answer || answer=no
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
