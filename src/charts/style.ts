/** How drawings look in files: on white, in colours that the colour-blind tell apart, in print as on a screen. */
export const CHART_STYLE = `
svg text{font:12px system-ui,"DejaVu Sans",sans-serif;fill:#51606e}
svg .strong{fill:#16202a;font-weight:600}
svg .name{fill:#16202a}
svg .middle{text-anchor:middle}
svg .end{text-anchor:end}
svg .grid{stroke:#dde3e9;stroke-width:1}
svg .reference{stroke:#51606e;stroke-width:1.5;stroke-dasharray:5 4}
svg .mark line{stroke:#16202a;stroke-width:1;stroke-dasharray:2 3}
svg .mark text{fill:#16202a;font-weight:600}
svg .whisker{stroke-width:2.5}
svg .curve{fill:none;stroke-width:2}
svg .band{fill-opacity:.16}
svg .bar{fill-opacity:.62}
${['#0072b2', '#d55e00', '#00805c', '#a34d84', '#7a6a00', '#4b5563']
  .map(
    (colour, i) =>
      `.fill-arm-${i + 1}{fill:${colour};background:${colour}}.stroke-arm-${i + 1}{stroke:${colour}}`,
  )
  .join('\n')}
`;

/** Of arms, in their order. */
export const ARM_COLOURS = ['arm-1', 'arm-2', 'arm-3', 'arm-4', 'arm-5', 'arm-6'] as const;
