/** Shapes: drawings as plain trees, for pages, which make elements of them, and for files, which get them as markup. */

type Child = Shape | string | null;

export interface Shape {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly children: readonly Child[];
}

export function shape(
  tag: string,
  attributes: Readonly<Record<string, string | number>> = {},
  ...children: readonly Child[]
): Shape {
  return { tag, attributes, children };
}

/** The drawing as SVG in its own right, or within HTML. */
export function markupOf({ tag, attributes, children }: Shape): string {
  const given = Object.entries(attributes).map(([name, value]) => ` ${name}="${escaped(shown(value))}"`);
  const inner = children
    .map((child) => (child === null ? '' : typeof child === 'string' ? escaped(child) : markupOf(child)))
    .join('');
  return `<${tag}${given.join('')}>${inner}</${tag}>`;
}

/** A tenth of a pixel is seen by nobody. */
export function shown(value: string | number): string {
  return typeof value === 'number' ? String(Math.round(value * 100) / 100) : value;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** What no XML may hold at all. */
const FORBIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]/gu;

/** Text such that it is text, in HTML and in XML; what could turn a line around, or hide in it, is an escape. */
export function escaped(text: string): string {
  return text
    .replace(FORBIDDEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replace(/[&<>"']/g, (c) => ENTITIES[c] as string);
}
