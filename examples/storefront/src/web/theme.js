// Sets the chosen theme before the page is drawn: a module would be too late.
document.documentElement.dataset.theme = localStorage.getItem("barro.theme") ?? "system";
