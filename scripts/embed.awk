# Turns a text into a C string. Usage: awk -v name=NAME -f scripts/embed.awk FILE
BEGIN { printf "extern const char %s[];\nconst char %s[] =\n", name, name }
{
    gsub(/\\/, "&&")
    gsub(/"/, "\\\"")
    print "    \"" $0 "\\n\""
}
END { print "    ;" }
