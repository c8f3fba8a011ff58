# Turns the migrations and the named queries into C: with -v part=header the
# enum of query names, with -v part=source the texts.
# Usage: awk -v part=... -f sql/embed.awk sql/0*.sql sql/queries.sql

function quote(line) {
    gsub(/\\/, "&&", line)
    gsub(/"/, "\\\"", line)
    return "    \"" line "\\n\"\n"
}

FILENAME ~ /queries\.sql$/ {
    if ($0 ~ /^-- name: /) {
        names[++queries] = $3
    } else if (queries && $0 !~ /^--/ && $0 != "") {
        texts[queries] = texts[queries] quote($0)
    }
    next
}

FNR == 1 { migrations++ }
{ scripts[migrations] = scripts[migrations] quote($0) }

END {
    print "/* Made from sql/ by sql/embed.awk. */"
    if (part == "header") {
        print "enum sql_id {"
        for (i = 1; i <= queries; i++)
            print "    SQL_" toupper(names[i]) ","
        print "    SQL_COUNT\n};"
        print "enum { SQL_MIGRATIONS = " migrations " };"
        print "extern const char *const sql_names[SQL_COUNT];"
        print "extern const char *const sql_texts[SQL_COUNT];"
        print "extern const char *const sql_migrations[SQL_MIGRATIONS];"
    } else {
        print "#include \"sql_queries.h\"\n"
        print "const char *const sql_names[SQL_COUNT] = {"
        for (i = 1; i <= queries; i++)
            print "    \"" names[i] "\","
        print "};\nconst char *const sql_texts[SQL_COUNT] = {"
        for (i = 1; i <= queries; i++)
            print texts[i] "    ,"
        print "};\nconst char *const sql_migrations[SQL_MIGRATIONS] = {"
        for (i = 1; i <= migrations; i++)
            print scripts[i] "    ,"
        print "};"
    }
}
