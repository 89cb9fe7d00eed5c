// Scalar over /openapi.yaml of the same host. Nothing is asked of any other: no fonts, proxy, telemetry or agent.
Scalar.createApiReference('#reference', {
  url: '/openapi.yaml',
  authentication: { preferredSecurityScheme: 'apiKey' },
  persistAuth: false,
  defaultOpenAllTags: true,
  hideModels: true,
  defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: 'never',
});

// What screen readers need of Scalar's fields and does not come with them: whether a combo box is open, what a text is
// called, and a way into it by keyboard.
const lacking = [
  ['[role="combobox"]:not([aria-expanded])', 'aria-expanded', 'false'],
  ['.cm-content[role="textbox"]:not([aria-label])', 'aria-label', 'Text'],
  ['.cm-scroller[tabindex="-1"]', 'tabindex', '0'],
];
new MutationObserver(() => {
  for (const [fields, name, value] of lacking) {
    for (const field of document.querySelectorAll(fields)) field.setAttribute(name, value);
  }
}).observe(document.body, { childList: true, subtree: true });
