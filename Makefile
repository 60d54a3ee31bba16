# Everything that one does with this project. `make` lists it.
BIN := .venv/bin
BOXOFFICE := $(BIN)/boxoffice
TESTS ?= tests

.DEFAULT_GOAL := help
.PHONY: help ready demo up down status story test check lock format verify bench chaos drills compose-test clean

help:  ## list these
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

ready:
	@./deploy/bootstrap.sh
	@./deploy/pages.sh

demo: ready  ## install what is missing, start everything, play the story, leave it running
	@$(BOXOFFICE) up
	@$(BOXOFFICE) story
	@$(BOXOFFICE) status

up: ready  ## start everything in the background
	@$(BOXOFFICE) up

down:  ## stop everything and leave no process behind
	@if [ -x $(BOXOFFICE) ]; then $(BOXOFFICE) down; else echo "nothing is running"; fi

status: ready  ## what runs and where
	@$(BOXOFFICE) status

story: ready  ## play the story against the running stack
	@$(BOXOFFICE) story

test: ready check  ## install what is missing, check, run every test
	@$(BIN)/python -m sandbox.launcher.install
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

check: ready  ## lint, types, architecture, lock, generated documents, containers and cluster as written
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m contracts.generate --check
	$(BIN)/python -m ops.openapi --check
	cd frontend && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check
	$(BIN)/pytest -q tests/deploy/compose tests/deploy/kubernetes tests/deploy/migrations
	@if grep -nE '://|index-url|find-links' requirements.lock; then echo "requirements.lock names an address." >&2; exit 1; fi

lock: ready  ## resolve every dependency anew; the committed lock is the hashed export, without addresses
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export --frozen --all-extras --no-emit-project -q --no-header > requirements.lock

format: ready  ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd frontend && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent format

verify: ready  ## compare databases, broker, provider, mails and CRM of the running stack
	@$(BOXOFFICE) verify

bench: ready  ## how many bookings a second the running stack takes
	@$(BIN)/python -m sandbox.bench

chaos: ready  ## cancel an event of 1,000 bookings on a stack of its own while services are killed
	@$(BIN)/python -m sandbox.launcher.install
	CHAOS_BOOKINGS=1000 CHAOS_KILLS=5 $(BIN)/pytest -q -s tests/e2e/test_campaigns.py

drills: ready  ## rotate every secret, restart replicas, restore a backup, each under buyers and with verify after it
	@$(BIN)/python -m sandbox.launcher.install
	DRILLS=all REPLICA_BOOKINGS=60 $(BIN)/pytest -q tests/e2e/test_rotation.py tests/e2e/test_replicas.py tests/e2e/test_restore.py

compose-test: ready  ## bring the containers up, play the story in them, compare everything, take them down
	./tests/deploy/compose/run.sh

clean: down  ## remove the stack's state and the Python environment
	@if [ -f .boxoffice/room ]; then rm -rf "$$(cat .boxoffice/room)"; fi
	rm -rf .boxoffice .venv frontend/node_modules frontend/dist
