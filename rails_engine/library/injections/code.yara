/* Python that reaches for the operating system or for an interpreter. */

rule import_shells
{
  strings:
    $module = /\b(import|from)[ \t]+(os|subprocess|pty|commands|popen2|shutil|ctypes|importlib|socket)\b/
    $dynamic = /__import__[ \t]*\(/
    $os_call = /\bos[ \t]*\.[ \t]*(system|popen|spawn[a-z]*|exec[a-z]*)[ \t]*\(/
    $process = /\bsubprocess[ \t]*\.[ \t]*(run|call|Popen|check_call|check_output|getoutput)[ \t]*\(/
    $builtins = /__(builtins|globals|subclasses|mro|class)__/
  condition:
    any of them
}

rule dynamic_code
{
  strings:
    $call = /\b(eval|exec|compile)[ \t]*\([ \t]*(["'fbru]{1,3}|__|open|input|base64|bytes|chr)/
  condition:
    any of them
}
