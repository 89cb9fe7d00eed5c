import { render } from "preact";
import { App } from "./app";
import { start } from "./state/live";
import { applyTheme } from "./state/theme";
import "./style.css";

applyTheme();
start();
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
