import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Comparison, Outcome } from '../../analysis/types.js';
import { markupOf } from '../../charts/shape.js';
import { CHART_STYLE } from '../../charts/style.js';
import type { StoredStudy } from '../../index.js';
import { type CommandContext, defineCommand } from '../command.js';
import { CommandError, UsageError } from '../errors.js';
import type { LibraryCrucible } from '../library.js';
import type { Paper } from '../paper/document.js';
import {
  comparisonSections,
  experimentSections,
  provenanceSection,
  type ReportedExperiment,
} from '../paper/experiments.js';
import { paperHtml } from '../paper/html.js';
import { paperMarkdown } from '../paper/markdown.js';
import { studySections } from '../paper/study.js';
import { type OpenedExperiment, withExperiments } from '../stored-experiments.js';
import { studyMeant } from '../studies.js';
import { formatTime } from '../terminal/numbers.js';
import { visible } from '../terminal/text.js';
import { waitFor } from '../waiting.js';

/** Points of the lines over time. */
const WINDOWS = 120;
const QUANTILES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

export const report = defineCommand({
  name: 'report',
  summary: 'write a report of experiments or a study that goes into a paper or a pull request',
  usage: 'ID...|STUDY --dir DIR [--html FILE] [--svg DIR] [--md FILE]',
  details: [
    'Of one experiment its figures; of several the verdict against the first, differences with intervals, and the method in words. Always with a manifest of the data: counts, what is missing, files with their SHA-256, versions. Changes nothing of the experiments.',
    'Of a study, by its name: the verdict of its plan, the plan with its hash, the outcomes with intervals and margins, the method, and the data of all that took part. As with crucible gate, that somebody has looked is written down.',
    'Without --html, --svg and --md, Markdown on standard output. For instance',
    '  crucible report 295d 8f01 --dir data --html report.html --svg figures',
  ],
  json: ['{ files: [path], title }'],
  positionals: { min: 1, max: 20 },
  options: {
    html: {
      type: 'string',
      value: 'FILE',
      description: 'one file with all charts and tables, that prints well',
    },
    svg: { type: 'string', value: 'DIR', description: 'a folder that gets each figure as a file' },
    md: { type: 'string', value: 'FILE', description: 'Markdown, for pull requests; - for standard output' },
    event: { type: 'string', value: 'NAME', description: 'compare events of this name or kind' },
    unit: { type: 'string', value: 'KEY', description: 'what was randomised, as in compare' },
    title: { type: 'string', value: 'TEXT', description: 'instead of the names' },
  },
  async run(context) {
    const { options, printJson, print, stdout } = context;
    const { html, svg, md } = options;
    const toStdout = md === '-' || (html === undefined && svg === undefined && md === undefined);
    if (toStdout && options.json) throw new UsageError('--json needs --html, --svg or --md FILE', 'report');
    const meant =
      context.positionals.length === 1 ? await studyMeant(context, 'report', context.positionals[0]!) : null;
    const ids = meant === null ? context.positionals : await experimentsOf(context, meant);
    if (meant !== null && (options.event !== undefined || options.unit !== undefined)) {
      throw new UsageError('--event and --unit are of experiments: a study has them in its plan', 'report');
    }
    return withExperiments(context, 'report', ids, async (crucible, opened) => {
      const reading =
        meant === null ? paperOf(context, crucible, opened) : studyPaper(context, meant, opened);
      const paper = await waitFor(context, 'reading', reading);
      const files: string[] = [];
      const write = async (path: string, text: string) => {
        await writeFile(path, text).catch((error: NodeJS.ErrnoException) => {
          throw new CommandError('ERR_EXPORT_PATH', `cannot write ${path}: ${error.code ?? error.message}`);
        });
        files.push(path);
      };
      if (html !== undefined) await write(html, paperHtml(paper));
      if (md !== undefined && md !== '-') await write(md, paperMarkdown(paper));
      if (svg !== undefined) {
        await mkdir(svg, { recursive: true });
        for (const { name, shape } of paper.sections.flatMap(({ figures = [] }) => figures)) {
          const styled = {
            ...shape,
            attributes: { xmlns: 'http://www.w3.org/2000/svg', ...shape.attributes },
            children: [{ tag: 'style', attributes: {}, children: [CHART_STYLE] }, ...shape.children],
          };
          await write(join(svg, `${name}.svg`), `${markupOf(styled)}\n`);
        }
      }
      if (toStdout) stdout.write(paperMarkdown(paper));
      else if (options.json) printJson({ title: paper.title, files });
      else print(...files);
    });
  },
});

/** Ids of those that took part, as far as they are in the folder. */
async function experimentsOf(
  { loadLibrary }: CommandContext,
  { dir, found }: { readonly dir: string; readonly found: StoredStudy },
): Promise<string[]> {
  const there = new Set((await (await loadLibrary()).listExperiments(dir)).map(({ id }) => id));
  return found.contributions.map(({ experiment }) => experiment).filter((id) => there.has(id));
}

async function studyPaper(
  {
    options,
    version,
    signal,
    loadLibrary,
  }: CommandContext & { readonly options: { readonly title?: string | undefined } },
  { dir, found }: { readonly dir: string; readonly found: StoredStudy },
  opened: readonly OpenedExperiment[],
): Promise<Paper> {
  const { plan, name, error, folder } = found;
  if (plan === null || name === null) {
    throw new CommandError(
      error?.code ?? 'ERR_NOT_FOUND',
      `${visible(name ?? folder)} cannot be opened: ${error?.message ?? 'it has no plan'}`,
    );
  }
  const crucible = (await loadLibrary()).open(dir);
  try {
    const verdict = await crucible.study(name).verdict();
    return {
      title: options.title ?? name,
      subtitle: writtenBy(version),
      sections: [
        ...studySections(verdict, { ...found, plan }),
        await provenanceSection(opened, version, signal),
      ],
    };
  } finally {
    await crucible.close();
  }
}

function writtenBy(version: string): string {
  return `Written ${formatTime(Date.now() * 1000)} by crucible-telemetry ${version}.`;
}

async function paperOf(
  context: Pick<CommandContext, 'version' | 'signal' | 'loadLibrary'> & {
    readonly options: {
      readonly event?: string | undefined;
      readonly unit?: string | undefined;
      readonly title?: string | undefined;
    };
  },
  crucible: LibraryCrucible,
  opened: readonly OpenedExperiment[],
): Promise<Paper> {
  const { event, unit, title } = context.options;
  const { follow } = await context.loadLibrary();
  const how = { ...(event !== undefined && { event }), ...(unit !== undefined && { unit }) };
  const reported: ReportedExperiment[] = [];
  for (const each of opened) {
    const { experiment, stored } = each;
    const folder = await follow(stored.folder);
    try {
      await folder.describe(experiment.id);
      const follower = folder.follower(experiment.id);
      await follower.advance();
      const metrics = await experiment.metrics();
      const { start, end } = metrics.summary.timeRange;
      const spanUs = start === null || end === null ? 1 : Math.max(1, end - start + 1);
      const figures = follower.figures(event ?? null);
      const sizeUs = Math.ceil(spanUs / WINDOWS);
      const { kind } = figures;
      const filter =
        kind === 'all' ? {} : { where: { eventName: { in: [kind, `${kind}.stop`, `${kind}.exception`] } } };
      const windows = await experiment.windowedMetrics({ sizeUs, stepUs: sizeUs, filter });
      reported.push({ opened: each, metrics, figures, windows });
    } finally {
      folder.close();
    }
  }
  const ids = opened.map(({ experiment }) => experiment.id);
  const compared = opened.length > 1 ? await compareAll(crucible, ids, how) : null;
  const names = [...new Set(opened.map(({ experiment }) => experiment.name))].join(', ');
  const hypotheses = [...new Set(opened.map(({ stored }) => stored.experiment?.hypothesis ?? null))].filter(
    (text) => text !== null,
  );
  return {
    title: title ?? names,
    subtitle: `${hypotheses.length === 0 ? '' : `${hypotheses.join(' ')} `}${writtenBy(context.version)}`,
    sections: [
      ...(compared === null ? [] : comparisonSections(compared.comparison, compared.quantiles, QUANTILES)),
      ...experimentSections(reported),
      await provenanceSection(opened, context.version, context.signal),
    ],
  };
}

async function compareAll(
  crucible: LibraryCrucible,
  ids: readonly string[],
  how: { event?: string; unit?: string },
): Promise<{ comparison: Comparison; quantiles: Comparison }> {
  const comparison = await crucible.compare(ids, how);
  const outcomes: Outcome[] = QUANTILES.map((quantile) => ({
    name: `q${quantile}`,
    of: 'latencyMs',
    summary: { quantile },
  }));
  const quantiles = await crucible.compare(ids, {
    ...how,
    metrics: outcomes,
    adjust: 'none',
    resamples: 1_000,
  });
  return { comparison, quantiles };
}
