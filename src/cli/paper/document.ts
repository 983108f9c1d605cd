/** A report as a document: sections of sentences, figures and tables, to be written as HTML or Markdown. */
import type { Shape } from '../../charts/shape.js';

export interface PaperTable {
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

export interface PaperFigure {
  /** Of its file, where figures get their own. */
  readonly name: string;
  readonly caption: string;
  readonly shape: Shape;
}

export interface Section {
  readonly heading: string;
  /** What it amounts to, to be read first. */
  readonly lead?: string;
  readonly paragraphs?: readonly string[];
  readonly list?: readonly string[];
  readonly figures?: readonly PaperFigure[];
  readonly tables?: readonly PaperTable[];
}

export interface Paper {
  readonly title: string;
  readonly subtitle: string;
  readonly sections: readonly Section[];
}
