/* Template expressions and statements, which a page or a prompt would run when it is filled in. */

rule jinja_injection
{
  strings:
    $expression = /\{\{[^{}]{0,400}\}\}/
    $statement = /\{%[^{}]{0,400}%\}/
  condition:
    any of them
}
