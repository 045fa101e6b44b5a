# Madang. `make` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run demo test check test-engines test-cluster bench bench-cluster services cluster gen clean dist

TS := $(shell git ls-files '*.ts' '*.js' '*.proto' 2>/dev/null)

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

node_modules/.installed: package.json package-lock.json
	@node -e 'if (+process.versions.node.split(".")[0] < 20) { console.error("Madang needs Node 20 or later, this is " + process.version); process.exit(1) }'
	npm install --no-save --no-audit --no-fund --loglevel=error # the lockfile's pins; unlike `npm ci`, also where a registry lacks the binaries of other platforms
	@touch $@

dist/.built: node_modules/.installed tsconfig.json $(TS)
	@rm -rf dist
	npx --no-install tsc
	npx --no-install tsx tools/bundle.ts
	@touch $@

dist: dist/.built ## Compile to dist/, and bundle the command line

run: dist/.built ## Start one node on its embedded stores (HTTP 8080, WebSocket 8081)
	@exec node dist/bin/madang.js start

demo: dist/.built ## 100 people chat, the server is killed, every promise is counted
	@exec node dist/tools/demo/main.js

test: node_modules/.installed dist/.built ## Run all tests
	npx --no-install vitest run

test-engines: node_modules/.installed ## Run the tests that need real servers, on servers started for them
	@exec node --import tsx tools/services/main.ts -- npx --no-install vitest run --config vitest.engines.config.ts

test-cluster: dist/.built ## Kill, pause and cut a cluster on real engines, and count what it promised
	@exec node dist/chaos/cluster/main.js $(ARGS)

check: node_modules/.installed ## Format, types, lint, boundaries, dead code, generated code
	npx --no-install biome check .
	npx --no-install tsc --noEmit
	npx --no-install oxlint --deny-warnings
	npx --no-install tsx tools/tidy.ts
	npx --no-install knip
	npx --no-install tsx tools/gen.ts --check

bench: dist/.built ## Measure speed and memory beside their baselines
	@exec node --expose-gc dist/bench/main.js

bench-cluster: dist/.built ## Measure a cluster on real servers beside its baselines (ARGS="--quick", or names)
	@exec node --expose-gc dist/bench/cluster/main.js $(ARGS)

services: node_modules/.installed ## Start NATS, Consul, Cassandra and PostgreSQL on loopback, built at the first time
	@exec node --import tsx tools/services/main.ts $(ARGS)

NODES ?= 3
cluster: dist/.built ## Start engines and a cluster on them: NODES actor nodes, two gateways, API, push
	@exec node dist/tools/cluster/main.js --nodes $(NODES)

gen: node_modules/.installed ## Generate proto/gen from the .proto files
	npx --no-install tsx tools/gen.ts

clean: ## Remove what was built and installed (not the data)
	rm -rf dist node_modules
