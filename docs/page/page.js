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

// Scalar's fields call themselves combo boxes without saying whether they are open, which screen readers need.
new MutationObserver(() => {
  for (const field of document.querySelectorAll('[role="combobox"]:not([aria-expanded])')) {
    field.setAttribute('aria-expanded', 'false');
  }
}).observe(document.body, { childList: true, subtree: true });
