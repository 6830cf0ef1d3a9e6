# make demo | make test | make check | make clean. Each sets up what it needs: Python packages in .venv, a browser and its fonts.
#
# PYTHON       the interpreter .venv is made with; 3.11 or newer
# TORCH        what pip installs as torch; chosen by what the machine has, unless given
# TORCH_INDEX  where pip looks for torch's CPU build when the package index it is set up with has none
# TEST_PROCESSES  how many processes the tests run in, each with whole files and one thread for its arithmetic

PYTHON ?= python3
TEST_PROCESSES ?= 2
TORCH_VERSION := $(shell sed -n 's/^torch==//p' constraints.txt)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -qq
INSTALLED := .venv/.installed

.PHONY: demo test check format browser toolkits clean
.DELETE_ON_ERROR:

demo: browser
	$(BIN)/glimpse demo

test: check browser toolkits
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

browser: $(INSTALLED)
	@$(BIN)/glimpse setup

# what tests type into and click on; without them those tests are skipped
TOOLKITS := xterm zenity python3-tk python3-gi gir1.2-gtk-3.0 python3-pyqt5 x11-xserver-utils x11-xkb-utils
toolkits: $(INSTALLED)
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "Without root and apt-get nothing is installed here: tests that lack a program are skipped and name its package."; \
	else \
	  $(BIN)/glimpse setup --desktop && { dpkg -s $(TOOLKITS) >/dev/null 2>&1 || { echo "Installing $(TOOLKITS) with apt-get …"; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TOOLKITS) >/dev/null; }; }; fi

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed and '$(PYTHON)' is not one: make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "Installing Python packages into .venv (torch is the large one) …"
	@$(install_torch)
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@

# A CPU-only Linux machine gets a "+cpu" build and nothing else: the plain one would bring gigabytes of CUDA libraries.
# The index of pip's own settings is asked first, as it may be a mirror; torch's dependencies always come from there.
cpu_build := torch==$(TORCH_VERSION)+cpu
define install_torch
  if [ -n "$(TORCH)" ]; then $(PIP) -c constraints.txt '$(TORCH)'; \
  elif [ "$$(uname -s)" != Linux ] || nvidia-smi >/dev/null 2>&1; then $(PIP) -c constraints.txt torch==$(TORCH_VERSION); \
  else $(PIP) -c constraints.txt '$(cpu_build)' 2>/dev/null || $(PIP) --no-deps --index-url '$(TORCH_INDEX)' '$(cpu_build)' || \
    { echo "torch's CPU build was not found: make TORCH_INDEX=<an index that has $(cpu_build)> …, or make TORCH=<a wheel> …" >&2; exit 3; }; \
  fi
endef
