/*
 * The yardstick of the bench cold-start: the least a CGI program can do.
 */
#include <stdio.h>

int main(void)
{
    fputs("Content-Type: application/json\r\n\r\n"
          "{\"status\":\"ok\",\"version\":\"0\"}",
          stdout);
    return 0;
}
