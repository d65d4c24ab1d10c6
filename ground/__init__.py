"""What both processes stand on: files, streams, the terminal. Knows neither `app` nor `engine`."""
