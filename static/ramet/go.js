// A page that only passes something on: press its button. Without scripts the person presses it.
document.querySelector("form[data-go]").requestSubmit();
