"""The project itself: settings, start-up, doors shared by all apps. Importing it does nothing."""
