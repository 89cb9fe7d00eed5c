// The page behind the link of a mail. The token stands behind `#`, which browsers send to nobody; it is sent once
// the reader agrees, so that programs that open links in mails change nothing.
const form = document.querySelector('form');
const done = document.querySelector('[role="status"]');
const wrong = document.querySelector('[role="alert"]');
const token = new URLSearchParams(location.hash.slice(1)).get('token');
history.replaceState(null, '', location.pathname); // so that it stays in no history

if (token === null) {
  form.hidden = true;
  wrong.textContent = 'This link has no token. Open it as it stands in the mail.';
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = form.querySelector('button');
  button.disabled = true;
  wrong.textContent = '';
  try {
    const reply = await fetch(form.dataset.call, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...Object.fromEntries(new FormData(form)), token }),
    });
    const body = await reply.json();
    if (reply.ok) {
      form.hidden = true;
      done.textContent = `${body.message}. You can close this page, and sign in.`;
    } else {
      const [detail] = body.error.details;
      wrong.textContent = detail ? `The ${detail.field} ${detail.message}.` : `${body.error.message}.`;
    }
  } catch {
    wrong.textContent = 'Finlink cannot be reached. Try again shortly.';
  }
  button.disabled = false;
});
