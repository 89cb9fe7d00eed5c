const reference = document.querySelector('rapi-doc');
// RapiDoc, which begins after this script, calls the server that the page came from, and not the document's first.
reference.setAttribute('default-api-server', `${location.origin}/`);

// What does not come with RapiDoc: roles and names for screen readers, and secrets that are not shown while they are typed.
const lacking = [
  ['#api-title:not([role])', { role: 'heading', 'aria-level': '1' }],
  ['.nav-bar-expand-all:not([role])', { role: 'button', 'aria-label': 'Unfold all' }],
  ['.nav-bar-collapse-all:not([role])', { role: 'button', 'aria-label': 'Fold all' }],
  ['.nav-bar-tag-icon:not([role])', { role: 'button', 'aria-label': 'Fold or unfold' }],
  ['.nav-bar [tabindex="0"]:not([role])', { role: 'link' }],
  ['.http.api-key-input[type="text"]', { type: 'password', autocomplete: 'off', 'aria-label': 'Access token' }],
  ['.api-key-input[type="text"]', { type: 'password', autocomplete: 'off', 'aria-label': 'API key' }],
  ['select:not([aria-label])', { 'aria-label': 'Example or media type' }],
  ['.request-body-param-user-input:not([aria-label])', { 'aria-label': 'Request body' }],
  ['pre:not([tabindex])', { tabindex: '0' }],
  ['.request-param:not([aria-label])', (field) => ({ 'aria-label': field.dataset.pname })],
];

// RapiDoc's elements have shadow trees, one inside another, each to be watched by itself.
const watched = new WeakSet();
const observer = new MutationObserver(() => amend(reference.shadowRoot));

function amend(tree) {
  if (!watched.has(tree)) {
    watched.add(tree);
    observer.observe(tree, { childList: true, subtree: true });
  }
  for (const [fields, given] of lacking) {
    for (const field of tree.querySelectorAll(fields)) {
      const attributes = typeof given === 'function' ? given(field) : given;
      for (const [name, value] of Object.entries(attributes)) field.setAttribute(name, value);
    }
  }
  for (const element of tree.querySelectorAll('*')) {
    if (element.shadowRoot) amend(element.shadowRoot);
  }
}

customElements.whenDefined('rapi-doc').then(() => amend(reference.shadowRoot));
