# slipway. `make run` and `make test` do everything, set-up included.
# BUILD=dir builds elsewhere; SANITIZE=1 builds with ASan and UBSan.

VERSION = 0.1.0
PREFIX = /usr/local
DESTDIR =
CC = gcc
SANITIZE =
BUILD = build$(if $(SANITIZE),/sanitize)
PORT ?= 8080
STATE ?= run
SERVER ?= lighttpd

WARNINGS = -Wall -Wextra -Werror -Wformat=2 -Wconversion -Wshadow \
	-Wimplicit-fallthrough -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wundef -Wvla -Werror=format-security
HARDEN = -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection=full -fno-delete-null-pointer-checks \
	-fno-strict-overflow -fno-strict-aliasing -fPIE
HARDEN_GCC = -ftrivial-auto-var-init=zero -Wtrampolines -Wbidi-chars=any
HARDEN_LINK = $(if $(STATIC),-static-pie -Wl$(comma)--no-warnings,-pie) -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,nodlopen
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer

comma := ,
IS_GCC := $(findstring gcc,$(CC))
CFLAGS = -std=gnu11 -g $(if $(SANITIZE),-O1 $(SANITIZERS),-O2 \
	-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3) $(WARNINGS) $(HARDEN) \
	$(if $(IS_GCC),$(HARDEN_GCC))
CPPFLAGS = -Isrc -I$(BUILD)/gen -DSLIPWAY_VERSION='"$(VERSION)"' -MMD -MP
LDFLAGS = $(HARDEN_LINK) $(if $(SANITIZE),$(SANITIZERS))
LDLIBS = -lfcgi -liniparser -lsqlite3 -lnettle -ljansson -lz -lutf8proc \
	-lpthread -lm

SOURCES := $(wildcard src/*.c src/*/*.c)
OBJECTS = $(SOURCES:src/%.c=$(BUILD)/%.o) $(BUILD)/gen/sql_queries.o \
	$(BUILD)/gen/doctor_js.o
PARTS = $(filter-out $(BUILD)/main.o,$(OBJECTS))
UNIT := $(wildcard tests/unit/*_test.c)
UNIT_PROGRAMS = $(UNIT:tests/unit/%.c=$(BUILD)/unit/%)
FUZZ := $(wildcard tests/fuzz/fuzz_*.c)
SQL := $(sort $(wildcard sql/0*.sql)) sql/queries.sql

all: $(BUILD)/slipway

$(BUILD)/slipway: $(OBJECTS)
	@echo LD $@
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/%.o: src/%.c $(BUILD)/gen/sql_queries.h
	@mkdir -p $(@D)
	@echo CC $<
	@$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	@echo CC $<
	@$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# A part of a page that the program carries in itself.
$(BUILD)/gen/doctor_js.c: htdocs/doctor.js scripts/embed.awk
	@mkdir -p $(@D)
	@awk -v name=doctor_js -f scripts/embed.awk $< >$@

$(BUILD)/gen/sql_queries.h: $(SQL) sql/embed.awk
	@mkdir -p $(@D)
	@awk -v part=header -f sql/embed.awk $(SQL) >$@

$(BUILD)/gen/sql_queries.c: $(SQL) sql/embed.awk $(BUILD)/gen/sql_queries.h
	@awk -v part=source -f sql/embed.awk $(SQL) >$@

$(BUILD)/unit/%: tests/unit/%.c $(PARTS)
	@mkdir -p $(@D)
	@echo CC $<
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(PARTS) \
		-lcmocka $(LDLIBS)

-include $(OBJECTS:.o=.d) $(UNIT_PROGRAMS:=.d)

# The HTTP cases without a network.
$(BUILD)/http_memory: $(wildcard tests/http/*.[ch]) $(PARTS)
	@echo CC $@
	@$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) -Itests/http $(CFLAGS) \
		$(LDFLAGS) -o $@ $(filter-out %.h,$^) $(LDLIBS)

unit: $(UNIT_PROGRAMS) $(BUILD)/http_memory

# Fuzzers are built by clang from the pure parts only.
build/fuzz/%: tests/fuzz/%.c $(wildcard src/base/*.[ch] src/http/*.[ch])
	@mkdir -p $(@D)
	@echo CC $<
	@clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -Isrc -o $@ $< \
		$(filter-out src/base/config%,$(wildcard src/base/*.c)) \
		$(wildcard src/http/*.c) -lutf8proc -lnettle
FUZZERS = $(FUZZ:tests/fuzz/%.c=build/fuzz/%)

fuzz-programs: $(FUZZERS)

fuzz: setup-test
	@$(MAKE) -s fuzz-programs
	@for f in $(FUZZERS); do c=$${f##*/fuzz_}; mkdir -p build/corpus/$$c; \
		$$f -max_total_time=$(FUZZ_SECONDS) build/corpus/$$c \
		tests/fuzz/corpus/$$c || exit 1; done
FUZZ_SECONDS = 60

setup-%:
	@scripts/setup build run lighttpd $*

run:
	@scripts/setup build run "$(SERVER)"
	@$(MAKE) -s -j2 all
	@PORT="$(PORT)" STATE="$(STATE)" SERVER="$(SERVER)" exec scripts/run

test: setup-test
	@$(MAKE) -s -j2 all fuzz-programs static build/unit/crash
	@$(MAKE) -s -j2 SANITIZE=1 unit
	@scripts/test all

test-quick: setup-test
	@$(MAKE) -s -j2 all build/unit/crash
	@$(MAKE) -s -j2 SANITIZE=1 unit
	@scripts/test quick

lint: setup-lint
	@scripts/lint

bench: setup-bench
	@$(MAKE) -s -j2 all static
	@node bench/run.mjs $(BENCH) --slipway $(BUILD)/slipway \
		--static $(BUILD)/slipway-static

# One binary without shared libraries, and under the two names by which a web
# server runs it. Renaming lets one that is in use be replaced.
static: setup-run
	@$(MAKE) -s BUILD=$(BUILD)/static STATIC=1 all
	@strip -o $(BUILD)/slipway-static $(BUILD)/static/slipway
	@for name in slipway.cgi slipway.fcgi; do \
		install -m 755 $(BUILD)/slipway-static cgi-bin/$$name.new && \
		mv cgi-bin/$$name.new cgi-bin/$$name || exit 1; done
	@ls -l cgi-bin/slipway.cgi cgi-bin/slipway.fcgi

# The manual's list of options comes from the program.
$(BUILD)/slipway.ini.5: man/slipway.ini.5.in $(BUILD)/slipway
	@$(BUILD)/slipway config --man >$@.options
	@sed -e '/^@OPTIONS@$$/{r $@.options' -e 'd' -e '}' $< >$@

MANUAL = man/slipway.1 $(BUILD)/slipway.ini.5 man/slipway-install.7
CONFS = lighttpd-example.conf apache-example.conf nginx-example.conf \
	slipway.service
SHARE = $(DESTDIR)$(PREFIX)/share

# The texts name $(PREFIX). Renaming lets a program that runs be replaced.
install:
	@scripts/setup build
	@$(MAKE) -s -j2 all $(BUILD)/slipway.ini.5
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/slipway/htdocs \
		$(SHARE)/doc/slipway $(SHARE)/man/man1 $(SHARE)/man/man5 \
		$(SHARE)/man/man7
	install -m 755 $(BUILD)/slipway $(DESTDIR)$(PREFIX)/bin/slipway.new
	mv $(DESTDIR)$(PREFIX)/bin/slipway.new $(DESTDIR)$(PREFIX)/bin/slipway
	install -m 644 htdocs/* $(SHARE)/slipway/htdocs
	install -m 644 README.md LICENSE cgi-bin/slipway.ini $(SHARE)/doc/slipway
	for f in $(CONFS); do sed 's|/usr/local/|$(PREFIX)/|g' $$f | \
		install -m 644 /dev/stdin $(SHARE)/doc/slipway/$$f || exit 1; done
	for f in $(MANUAL); do sed 's|/usr/local/|$(PREFIX)/|g' $$f | \
		install -m 644 /dev/stdin $(SHARE)/man/man$${f##*.}/$${f##*/} || \
		exit 1; done

clean:
	rm -rf build cgi-bin/slipway.cgi cgi-bin/slipway.fcgi
.PHONY: all unit fuzz-programs fuzz run test test-quick lint bench static install clean
