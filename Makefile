.PHONY: help test test-deps lint

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

test: test-deps lint ## Everything that must pass before a change lands
	HEALTH_EXPORTER_REQUIRE_SERVERS=1 RUST_TEST_THREADS=4 cargo test --locked

test-deps: ## Install the servers and tools the tests need (Debian packages)
	@scripts/install-test-dependencies

lint: ## Formatting, clippy, documentation and the TLS stack
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
	scripts/check-tls-stack
