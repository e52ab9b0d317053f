/* Markup and Markdown that runs script or calls home as soon as it is shown. */

rule markdown_xss
{
  strings:
    $script = /<[ \t]{0,5}\/?[ \t]{0,5}script\b[^>]{0,400}>?/ nocase
    $element = /<[ \t]{0,5}(iframe|object|embed|svg|base|meta|link|form)\b[^>]{0,400}>/ nocase
    $handler = /<[a-z][a-z0-9]{0,15}\b[^>]{0,300}[ \t\r\n\/]on[a-z]{3,20}[ \t]{0,5}=[^>]{0,400}>/ nocase
    $address = /(javascript|vbscript|livescript)[ \t]{0,5}:/ nocase
    $data = /data:text\/html/ nocase
    $image = /!\[[^\]]{0,200}\]\([ \t]{0,5}https?:\/\/[^)]{0,400}\?[^)]{0,400}\)/ nocase
    $tag = /<img\b[^>]{0,300}src[ \t]{0,5}=[ \t]{0,5}["']?https?:\/\/[^>]{0,400}\?[^>]{0,400}>/ nocase
  condition:
    any of them
}
