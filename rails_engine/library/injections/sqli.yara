/* Statements that would change what a query does once they are put into one. */

rule sql_injection
{
  strings:
    $stacked = /;[ \t\r\n]{0,20}(drop|delete|insert|update|alter|truncate|create|grant|exec|execute|shutdown)[ \t]/ nocase
    $cut_off = /['");][ \t]{0,20}(--|#|\/\*)/
    $tail = /;[ \t]{0,20}--/
    $union = /\bunion[ \t]{1,20}(all[ \t]{1,20})?select\b/ nocase
    $always = /['"]?[ \t]{0,20}\b(or|and)\b[ \t]{1,20}['"(]{0,2}(\d{1,9})['"]?[ \t]{0,20}=[ \t]{0,20}['"(]{0,2}\d{1,9}\b/ nocase
    $quoted = /'[ \t]{0,20}(or|and)[ \t]{1,20}'[^'\r\n]{0,40}'[ \t]{0,20}=[ \t]{0,20}'/ nocase
    $drop = /\bdrop[ \t]{1,20}(table|database|schema|view|user)\b/ nocase
    $delay = /\b(sleep|benchmark|pg_sleep)[ \t]{0,5}\([ \t]{0,5}\d|\bwaitfor[ \t]{1,5}delay\b/ nocase
    $files = /\b(load_file[ \t]{0,5}\(|into[ \t]{1,5}(outfile|dumpfile)\b|xp_cmdshell)/ nocase
  condition:
    any of them
}
