import { describe, expect, it } from 'vitest';
import { tableLines } from '../../../src/cli/terminal/table.js';
import { displayWidth } from '../../../src/cli/terminal/width.js';

describe('tableLines', () => {
  const columns = [
    { header: 'name', align: 'left' as const },
    { header: 'p50, ms', align: 'right' as const },
  ];

  it('aligns words left and numbers right, whatever the script', () => {
    expect(tableLines(columns, [['control', '12.50'], ['対照群', '1,204.00'], ['🚀']])).toEqual([
      '  name       p50, ms',
      '  control      12.50',
      '  対照群    1,204.00',
      '  🚀',
    ]);
  });

  it('lets the first column give way to the width', () => {
    const lines = tableLines(columns, [['a rather long name', '1.0']], { width: 24 });
    expect(lines[1]).toBe('  a rather lo…       1.0');
    expect(lines.every((line) => displayWidth(line) <= 24)).toBe(true);
  });

  const wide = [
    { header: 'id', align: 'left' as const },
    { header: 'name', align: 'left' as const, shrinks: true as const },
    { header: 'size', align: 'right' as const, optional: 2 },
    { header: 'time', align: 'right' as const, optional: 1 },
  ];
  const at = (width: number) => tableLines(wide, [['0123', 'a rather long name', '10', '12']], { width });

  it('leaves out what may be left out, once the column that shrinks can give no more, and says so', () => {
    expect(at(80)).toEqual([
      '  id     name                 size   time',
      '  0123   a rather long name     10     12',
    ]);
    expect(at(35)[1]).toBe('  0123   a rather lo…     10     12');
    expect(at(28)).toEqual([
      '  id     name           time',
      '  0123   a rather lo…     12',
      '  no room for: size; a wider',
      '    terminal, a pipe or',
      '    --json shows more',
    ]);
    expect(at(20)).toEqual([
      '  id     name',
      '  0123   a rather l…',
      '  no room for: size',
      '    · time; a wider',
      '    terminal, a pipe',
      '    or --json shows',
      '    more',
    ]);
  });

  it('becomes a block a row where even that does not fit', () => {
    expect(at(16)).toEqual(['  id     0123', '  name   a rather long name', '  size   10', '  time   12']);
    const named = [{ header: '', align: 'left' as const }, ...columns];
    const rows = [
      ['first', 'a', '1'],
      ['second', 'b', '2'],
    ];
    expect(tableLines(named, rows, { width: 10 })).toEqual([
      '  first',
      `    ${columns[0]!.header.padEnd(7)}   a`,
      `    ${columns[1]!.header.padEnd(7)}   1`,
      '  second',
      `    ${columns[0]!.header.padEnd(7)}   b`,
      `    ${columns[1]!.header.padEnd(7)}   2`,
    ]);
    expect(
      tableLines(
        columns,
        [
          ['a', '1'],
          ['b', '2'],
        ],
        { width: 4 },
      )[2],
    ).toBe('');
  });

  it('says nothing of a drawing that it leaves out', () => {
    const drawn = [...columns, { header: '', align: 'left' as const, optional: 1, isDrawing: true as const }];
    expect(tableLines(drawn, [['a', '1', '########']], { width: 20 })).toHaveLength(2);
  });

  it('shows what cannot be seen, and keeps its columns aligned', () => {
    const lines = tableLines(columns, [
      ['a\u202eb\n', '1'],
      ['c', '2'],
    ]);
    expect(lines[1]).toContain('a\\u202eb\\u000a');
    expect(new Set(lines.map(displayWidth)).size).toBe(1);
  });

  it('leaves out a header that says nothing', () => {
    const bare = columns.map((column) => ({ ...column, header: '' }));
    expect(tableLines(bare, [['a', '1']], { indent: 0 })).toEqual(['a   1']);
  });

  it('leaves out rather than cutting below what is asked for', () => {
    const columns = [
      { header: 'name', align: 'left' as const },
      { header: 'count', align: 'right' as const, optional: 1 },
    ];
    const rows = [['a long name', '1']];
    expect(tableLines(columns, rows, { width: 20 })).toEqual([
      '  name         count',
      '  a long na…       1',
    ]);
    expect(tableLines(columns, rows, { width: 20, minShrunk: 11 }).slice(0, 3)).toEqual([
      '  name',
      '  a long name',
      '  no room for:',
    ]);
  });
});
