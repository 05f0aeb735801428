# Everything a person does here more than once. `make` prints this list.
.DEFAULT_GOAL := help
SEED ?= 1

help: ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## serve on 127.0.0.1:8080, data in ./rapport-data
	go run ./cmd/rapport

demo: ## a small living world in ./rapport-data, then serve it
	go run ./cmd/rapport demo

test: ## all tests; engines that are absent skip with one line
	go test ./...

check: ## format, vet, lint, architecture, tests, generated pages fresh
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go test ./...

race: ## the suites cut to size, under the race detector
	go test -race -short ./...

full: ## every test as CI runs it: nothing may skip
	CI=true go test -count=1 ./...

postgres: ## the tests of everything that keeps tables, on PostgreSQL
	CI=true RAPPORT_TEST_ENGINE=postgres go test -count=1 -timeout 20m -skip '^TestBrowser$$' \
	  ./internal/sqldb/... ./internal/relay ./internal/httpapi ./account ./agent ./chat ./feedback ./gateway ./learning ./app

kafka: ## the tests of the log on Kafka, on a real broker (Java 17; Maven fetches it) and PostgreSQL
	internal/eventlog/kafka/kafkatest/install.sh
	CI=true go test -count=1 -timeout 10m -run 'Kafka|Contract|Real|Address|Broker|Belong|Partitions|Fight|LateWriter|SameEvent|Elsewhere|TakenOver|LogGoesAway' \
	  ./internal/eventlog/kafka ./internal/relay ./app

sim: ## a world on a seed, printed: make sim SEED=7
	go run ./cmd/rapport demo --seed $(SEED) --data $$(mktemp -d) --once

fuzz: ## a minute of fuzzing for each decoder
	@for t in $$(grep -rlE '^func Fuzz' --include=*_test.go . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$t/*_test.go | cut -c6-); do \
	    echo "$$t $$f"; go test $$t -run '^$$' -fuzz "^$$f$$" -fuzztime 60s || exit 1; done; done

bench: ## every bench, as in docs/performance.md
	@for b in $$(go run ./cmd/rapport-bench list --names); do go run ./cmd/rapport-bench $$b; done

golden: ## rewrite golden files and generated pages after a wanted change
	go test $$(grep -rlE 'flag.Bool\("update"' --include=*_test.go . | xargs -n1 dirname | sort -u) -update

.PHONY: help run demo test check race full postgres kafka sim fuzz bench golden
