# What a node of the cluster that is named prod needs of a Consul that denies by default: its keys, and sessions to stand behind
# them. deploy/policies.engine.test.ts runs a store on this very file.
#
#   consul acl policy create -name madang-prod -rules @deploy/consul/policy.hcl
#   consul acl token create -description "nodes of prod" -policy-name madang-prod

key_prefix "madang/prod/" {
  policy = "write"
}

# A session belongs to the agent that it was made at, whichever that is.
session_prefix "" {
  policy = "write"
}
