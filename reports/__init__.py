"""Pages and messages: charts, theme, rendering and the channels they leave by."""
