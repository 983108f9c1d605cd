/** A report as one file of HTML that needs nothing besides, and prints well. */
import { escaped, markupOf } from '../../charts/shape.js';
import { CHART_STYLE } from '../../charts/style.js';
import type { Paper, PaperTable, Section } from './document.js';

const STYLE = `
:root{color-scheme:light}
body{font:15px/1.55 system-ui,"DejaVu Sans",sans-serif;color:#16202a;background:#fff;max-width:900px;margin:32px auto;padding:0 20px}
h1{font-size:28px;line-height:1.2;margin:0;overflow-wrap:anywhere}
h2{font-size:19px;margin:34px 0 8px;border-bottom:1px solid #dde3e9;padding-bottom:4px}
.sub,figcaption,caption{color:#51606e;font-size:13px}
.lead{font-size:18px;line-height:1.45;border-left:5px solid #0b5c7a;padding:4px 14px;margin:12px 0}
figure{margin:18px 0;break-inside:avoid}
figcaption,caption{text-align:left;padding:4px 0;caption-side:bottom}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px;margin:12px 0;break-inside:avoid}
th,td{text-align:left;padding:5px 8px;border-bottom:1px solid #dde3e9;vertical-align:top;overflow-wrap:break-word}
.hash{overflow-wrap:anywhere;font-family:ui-monospace,monospace;font-size:11px}
thead th{border-bottom:2px solid #51606e;overflow-wrap:normal}
.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
svg{width:100%;height:auto}
@page{margin:18mm}
@media print{body{margin:0;max-width:none;padding:0;font-size:11pt}h2{break-after:avoid}.scroll{overflow:visible}
table{font-size:8.5pt}th,td{padding:3px 4px}.num{white-space:normal}td{overflow-wrap:anywhere}}
${CHART_STYLE}`;

export function paperHtml({ title, subtitle, sections }: Paper): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<p class="sub">${escaped(subtitle)}</p>
${sections.map(sectionHtml).join('\n')}
</body>
</html>
`;
}

function sectionHtml({
  heading,
  lead,
  paragraphs = [],
  list = [],
  figures = [],
  tables = [],
}: Section): string {
  return [
    `<section>\n<h2>${escaped(heading)}</h2>`,
    lead === undefined ? '' : `<p class="lead">${escaped(lead)}</p>`,
    ...paragraphs.map((text) => `<p>${escaped(text)}</p>`),
    list.length === 0 ? '' : `<ul>${list.map((text) => `<li>${escaped(text)}</li>`).join('')}</ul>`,
    ...figures.map(
      ({ shape, caption }) =>
        `<figure>${markupOf(shape)}<figcaption>${escaped(caption)}</figcaption></figure>`,
    ),
    ...tables.map(tableHtml),
    '</section>',
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function tableHtml({ caption, columns, rows }: PaperTable): string {
  const isNumber = columns.map((_, c) =>
    rows.every((row) => typeof row[c] !== 'string' || isShortNumber(row[c])),
  );
  const attribute = (c: number) => (isNumber[c] ? ' class="num"' : '');
  const head = columns.map((name, c) => `<th scope="col"${attribute(c)}>${escaped(name)}</th>`).join('');
  const body = rows.map(
    (row) => `<tr>${columns.map((_, c) => cellHtml(row[c] ?? null, attribute(c))).join('')}</tr>`,
  );
  return `<div class="scroll"><table><caption>${escaped(caption)}</caption><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

/** Whether it stands at the right, on one line. */
function isShortNumber(text: string): boolean {
  return text.length <= 24 && /^[-+−–<]? ?[\d.,]/.test(text);
}

function cellHtml(value: string | number | null, attribute: string): string {
  const text = String(value ?? '–');
  return `<td${/^[0-9a-f]{64}$/.test(text) ? ' class="hash"' : attribute}>${escaped(text)}</td>`;
}
