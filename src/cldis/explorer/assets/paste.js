// Gradio pastes by a button only, which browsers allow on this machine or over TLS. The keys work
// anywhere: the picture goes where a chosen file would, on the tab that is open.
() => document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((file) => file.type.startsWith("image/"));
  const input = [...document.querySelectorAll(".image-container input[type=file]")]
    .find((input) => input.closest(".image-container").offsetParent);
  if (!file || !input) return;
  event.preventDefault();
  const chosen = new DataTransfer();
  chosen.items.add(file);
  input.files = chosen.files;
  input.dispatchEvent(new Event("change", {bubbles: true}));
})
