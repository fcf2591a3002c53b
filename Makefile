# `make` alone lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run test check engine images coverage docs book recording deb static container release bench clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

run: ## From nothing to a psql prompt; the server runs until Ctrl-C
	@scripts/run

test: ## The whole suite, with the set-up that it needs
	@scripts/test

check: ## Format, lints, documentation, arrows, dependencies, shell, Dockerfiles
	@scripts/check

engine: ## An engine that answers
	@scripts/engine

images: engine ## The sample images
	@scripts/images

coverage: ## What the tests reach: a table, and HTML in target/llvm-cov/html
	@scripts/coverage

docs: ## The documentation of the code, in target/doc
	@cargo doc --workspace --no-deps --document-private-items

deb: ## A Debian package, in target/debian
	@scripts/deb

book: ## The book, in target/book
	@scripts/book

recording: ## docs/session.svg, of a real session
	@scripts/recording

bench: ## Side by side with what else there is, into bench/REPORT.md
	@bench/run

static: ## The program without a need of any library: target/static/spin-docker
	@scripts/static

container: ## The image `spin-docker`, for deploy/compose.yaml
	@scripts/container

release: ## Builds and checks everything, cuts the changelog, and tags the version of Cargo.toml
	@scripts/release

clean: ## Whatever was built; the tools' cache stays
	@cargo clean
